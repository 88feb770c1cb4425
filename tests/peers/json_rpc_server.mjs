// A JSON-RPC server of json-rpc-2.0 over ws, with subscriptions in the manner of Ethereum; the
// port is an argument. It takes tokens that begin with "good".
import { JSONRPCClient, JSONRPCErrorException, JSONRPCServer, JSONRPCServerAndClient } from "json-rpc-2.0";
import { WebSocketServer } from "ws";

const port = Number(process.argv[2]);
const started = Date.now();
const server = new WebSocketServer({
  host: "127.0.0.1",
  port,
  verifyClient: ({ req }, decide) =>
    decide(String(req.headers.authorization).startsWith("Bearer good"), 401),
});
server.on("connection", (socket, request) => {
  const peer = new JSONRPCServerAndClient(
    new JSONRPCServer(),
    new JSONRPCClient((message) => socket.send(JSON.stringify(message))),
  );
  const live = new Map();
  let last = 0;
  peer.addMethod("sum", (numbers) => numbers.reduce((a, b) => a + b, 0));
  peer.addMethod("me", () => request.headers.authorization);
  peer.addMethod("ask", (params) => peer.request("answer", params));
  peer.addMethod("shout", ({ text }) => peer.notify("shouted", { text: text.toUpperCase() }));
  peer.addMethod("eth_subscribe", ([what]) => {
    if (what !== "newHeads") throw new JSONRPCErrorException("no such subscription", -32602);
    const id = `0x${++last}`;  // the same ones on each connection
    let number = -1;
    const timer = setInterval(() => {
      const now = Math.floor((Date.now() - started) / 20);
      if (now === number) return;
      number = now;
      peer.notify("eth_subscription", { subscription: id, result: { number } });
    }, 5);
    live.set(id, timer);
    return id;
  });
  peer.addMethod("eth_unsubscribe", ([id]) => {
    clearInterval(live.get(id));
    return live.delete(id);
  });
  peer.addMethod("live", () => live.size);
  socket.on("message", (data) => peer.receiveAndSend(JSON.parse(data)));
  socket.on("close", () => live.forEach((timer) => clearInterval(timer)));
});
server.on("listening", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
