// Shows the description of this server's API. Relative, so that it works behind a prefix.
const root = document.documentElement;
root.classList.toggle("dark-mode", root.getAttribute("data-mantine-color-scheme") === "dark");
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  tryItOutEnabled: true,
  validatorUrl: null, // would ask a server elsewhere
});
