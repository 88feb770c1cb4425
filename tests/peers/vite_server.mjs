// Vite's development server; the port comes from the command line, its token goes to stdout.
import { createServer } from "vite";

const port = Number(process.argv[2]);
const server = await createServer({
  root: process.cwd(),
  configFile: false,
  logLevel: "silent",
  server: { host: "127.0.0.1", port, strictPort: true },
});
await server.listen();
console.log(server.config.webSocketToken);
process.stdin.on("end", () => process.exit(0)).resume();
