// A socket.io server that takes one token; port and token come from the command line.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, token] = process.argv.slice(2);
const http = createServer();
new Server(http, {
  allowRequest: (request, decide) => {
    const given = new URL(request.url, "http://localhost").searchParams.get("token");
    decide(null, given === token);
  },
});
http.listen(Number(port), "127.0.0.1", () => console.log(token));
process.stdin.on("end", () => process.exit(0)).resume();
