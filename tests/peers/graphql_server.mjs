// A GraphQL server of graphql-ws that takes tokens that begin with "good"; the port is an argument.
import { GraphQLError, buildSchema, parse } from "graphql";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  type Query { hello(name: String!): String  broken: String  me: String }
  type Mutation { say(text: String!): Int }
  type Subscription { ticks: Int  said: String  two: Int  forbidden: Int }
`);
const started = Date.now();
const listeners = new Set();
let count = 0;

async function* ticks() {
  for (let last = -1; ; ) {
    const now = Math.floor((Date.now() - started) / 20);
    if (now > last) yield { ticks: (last = now) };
    await new Promise((go) => setTimeout(go, 5));
  }
}

async function* two() {
  yield { two: 1 };
  yield { two: 2 };
}

const roots = {
  query: {
    hello: ({ name }) => `hello ${name}`,
    broken: () => { throw new GraphQLError("it is broken"); },
    me: (_, context) => context.connectionParams.Authorization,
  },
  mutation: { say: ({ text }) => (listeners.forEach((listener) => listener(text)), ++count) },
  subscription: { ticks, two },
};

const port = Number(process.argv[2]);
const server = new WebSocketServer({ host: "127.0.0.1", port, path: "/graphql" });
useServer(
  {
    schema,
    roots,
    context: (context) => context,
    onConnect: ({ connectionParams }) =>
      String(connectionParams?.Authorization).startsWith("Bearer good"),
    onSubscribe: (_, id, { query }) =>
      query.includes("forbidden") ? [new GraphQLError("not allowed")] : undefined,
  },
  server,
);
server.on("listening", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
