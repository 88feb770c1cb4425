// A socket.io server with events; port, the tokens that it takes, and options in JSON from the command line.
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, tokens, options] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { pingInterval: 300, pingTimeout: 300, ...JSON.parse(options ?? "{}") });

function refused(text, code) {
  const error = new Error(text);
  error.data = { code };
  return error;
}

io.use((socket, next) => {
  const token = socket.handshake.auth.token;
  next(tokens.split(",").includes(token) ? undefined : refused("no such token", 17));
});
io.on("connection", (socket) => {
  socket.emit("welcome", socket.handshake.auth.token, socket.recovered);
  socket.on("say", (...args) => io.emit("said", ...args));
  socket.on("echo", (...args) => {
    const last = args.at(-1);
    if (typeof last === "function") last(...args.slice(0, -1));
    else socket.emit("echo", ...args);
  });
  socket.on("sum", (one, other, answer) => answer(one + other));
  socket.on("ask", async (name, answer) => {
    const told = await socket.timeout(2000).emitWithAck("version", name);
    if (answer) answer(told);
    else socket.emit("told", told);
  });
  socket.on("drop", () => socket.conn.transport.socket.terminate());
  socket.on("kick", () => socket.disconnect());
  socket.on("later", (text) => setTimeout(() => io.emit("said", text), 150));
});

const admin = io.of("/admin");
admin.use((socket, next) => {
  next(socket.handshake.auth.role === "admin" ? undefined : refused("admins only", 18));
});
admin.on("connection", (socket) => {
  socket.on("echo", (...args) => {
    const last = args.at(-1);
    if (typeof last === "function") last(...args.slice(0, -1));
    else socket.emit("echo", ...args);
  });
  socket.on("kick", () => socket.disconnect());
  socket.on("disconnect", () => io.emit("left"));
});

http.listen(Number(port), "127.0.0.1", () => console.log(tokens));
process.stdin.on("end", () => process.exit(0)).resume();
