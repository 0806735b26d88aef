// @vitest-environment happy-dom
// What a page in a notebook's frame tells the kernel, and when.
import { expect, test, vi } from "vitest";

const POSTS = [];
let answer;
const turn = () => new Promise((go) => { setTimeout(go); });
const links = () => POSTS.map(([address, { method, body }]) => {
  expect([address, method]).toEqual(["/lab/token/selection", "POST"]);
  return body;
});

document.body.innerHTML = (
  '<script id="_dash-config" type="text">{"requests_pathname_prefix": "/lab/token/"}</script>');
window.happyDOM.setURL("http://localhost:8000/lab/token/maps?layer=conv1");

test("each change of the address is told, the last one last, however long an answer takes", async () => {
  vi.stubGlobal("fetch", (...call) => {
    POSTS.push(call);
    return answer();
  });
  answer = () => Promise.resolve(new Response(null, { status: 204 }));
  await import("../../dashboard/assets/notebook/selection.js");
  await turn();
  expect(links()).toEqual(["maps?layer=conv1"]);

  let arrive;
  answer = () => new Promise((go) => { arrive = go; });
  window.history.replaceState({}, "", "/lab/token/maps?layer=conv1&filter=1");
  window.history.pushState({}, "", "/lab/token/maps?layer=conv1&filter=2");
  window.history.pushState({}, "", "/lab/token/filter?layer=conv1&filter=3");
  await turn();
  expect(links().slice(1)).toEqual(["maps?layer=conv1&filter=1"]);
  answer = () => Promise.resolve(new Response(null, { status: 204 }));
  arrive(new Response(null, { status: 204 }));
  await turn();
  expect(links().slice(2)).toEqual(["filter?layer=conv1&filter=3"]);

  window.history.replaceState({ kept: 1 }, "", window.location.href);
  await turn();
  expect(links()).toHaveLength(3);
  expect(window.history.state).toEqual({ kept: 1 });

  answer = () => Promise.reject(new TypeError("nobody answers"));
  window.history.pushState({}, "", "/lab/token/errors?layer=conv1");
  await turn();
  answer = () => Promise.resolve(new Response(null, { status: 204 }));
  window.history.pushState({}, "", "/lab/token/samples?layer=conv1");
  await turn();
  expect(links().slice(3)).toEqual(["errors?layer=conv1", "samples?layer=conv1"]);
});
