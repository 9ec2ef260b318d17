import { createConnection, createServer } from "node:net";
import { Stop } from "./stop.mjs";

export const HOST = "127.0.0.1";

const listen = (port) =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: HOST, port }, () => resolve(server));
  });

/**
 * Makes sure that ports can be listened on.
 * @param {[name: string, port: number][]} wanted the environment variable that sets each, and its value; 0 takes any
 *   free one
 * @returns {Promise<number[]>} the ports to use, all different
 */
export async function claimPorts(wanted) {
  const servers = [];
  try {
    for (const [name, port] of wanted) servers.push(await listen(port).catch((error) => refuse(error, name, port)));
    return servers.map((server) => server.address().port);
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function refuse(error, name, port) {
  if (error.code === "EADDRINUSE")
    throw new Stop(
      `Port ${port} is in use by another program. Stop that program, or choose another port with ${name}=<port> (0 takes any free one).`,
    );
  if (error.code === "EACCES")
    throw new Stop(`Port ${port} needs special rights. Choose one above 1023 with ${name}=<port>.`);
  throw error;
}

/** @returns {Promise<boolean>} whether something accepts connections on the port */
export const answers = (port) =>
  new Promise((resolve) => {
    const socket = createConnection({ host: HOST, port });
    const end = (result) => {
      socket.destroy();
      resolve(result);
    };
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
