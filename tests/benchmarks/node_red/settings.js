// Node-RED without its editor or any port: it only runs the flow of its user directory.
const { readFileSync } = require("node:fs");
const path = require("node:path");

module.exports = {
  flowFile: "flow.json",
  credentialSecret: false, // a plain file in a private directory that lives as long as the benchmark
  readOnly: true,
  httpAdminRoot: false,
  httpNodeRoot: false,
  telemetry: { enabled: false, updateNotification: false },
  externalModules: { autoInstall: false, palette: { allowInstall: false } },
  functionGlobalContext: {
    pg: require("pg"), // finds the server by PGHOST and its like
    settle_sql: readFileSync(path.join(__dirname, "settle.sql"), "utf8"),
  },
  logging: { console: { level: "info", metrics: false, audit: false } },
};
