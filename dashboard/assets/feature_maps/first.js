// The maps of the page that comes with the index, asked for before Dash has made the page, so that
// the wall is drawn before graphs are.
import { arrayOf, mapsUrl } from "./fetching.js";

/** What a component of a layout holds, by its id; undefined where there is none. */
function dataOf(node, id) {
  if (Array.isArray(node)) {
    return node.reduce((data, child) => data ?? dataOf(child, id), undefined);
  }
  if (!node?.props) return undefined;
  return node.props.id === id ? node.props.data : dataOf(node.props.children, id);
}

/** Asks for the maps of a layout; of large ones it depends on the page's width how fine they are. */
export function fetchMaps(layout) {
  const [facts, sample] = ["maps-facts", "maps-settled"].map((id) => dataOf(layout, id));
  if (!facts || facts.windows || facts.message) return;
  arrayOf(mapsUrl(facts, sample)).catch(() => {}); // the page asks again, and says what is wrong
}

const block = document.getElementById("first-layout");
if (block) fetchMaps(JSON.parse(block.textContent));
