// A chat server on Socket.IO: who connects is signed in by a JSON Web Token and is in a room of their own.
//
//     node server.js PORT SECRET
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const [port, secret] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { serveClient: false });

io.use((socket, next) => {
  try {
    const believed = { algorithms: ["HS256"], issuer: "auren", audience: "auren" };
    socket.data.user = jwt.verify(socket.handshake.auth.token, secret, believed).sub;
    next();
  } catch {
    next(new Error("unauthorized"));
  }
});
io.on("connection", (socket) => socket.join(socket.data.user));

// Its documentation's advice on memory: the first HTTP request of each session need not be kept.
io.engine.on("connection", (raw) => {
  raw.request = null;
});

http.listen(Number(port), "127.0.0.1");
