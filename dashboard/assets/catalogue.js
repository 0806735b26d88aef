// The page that lists stores: the search above its table, and the links in it.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.catalogue = {
  searched(text, options) {
    return { ...options, quickFilterText: text || "" };
  },
};

// A store's name; a store that cannot be opened has no link.
window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
window.dashAgGridComponentFunctions.StoreLink = ({ data, value }) =>
  data.href ? window.React.createElement("a", { href: data.href }, value) : value;
