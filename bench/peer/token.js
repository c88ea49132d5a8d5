// The token check of both live peers: HS256 by a key object (a string would be turned into one at each token).

import { createSecretKey } from "node:crypto";
import jwt from "jsonwebtoken";

const ISSUER = "plaza";
const ORG = "bench";
const key = createSecretKey(Buffer.from(process.env.LIVE_SECRET, "hex"));

export const TUNED = {
  transports: ["websocket"],
  allowUpgrades: false,
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
};

// Middleware of a namespace: lets a socket in, with `data {org, email}`, or says why not.
export function authenticate(socket, next) {
  try {
    const { token, orgId } = socket.handshake.auth;
    if (orgId !== ORG) throw new Error("no such organisation");
    const claims = jwt.verify(token, key, { algorithms: ["HS256"], audience: ISSUER, issuer: ISSUER });
    if (claims.org !== orgId) throw new Error("org_mismatch");
    socket.data = { org: orgId, email: claims.email };
    next();
  } catch (error) {
    next(new Error(`auth.invalid_token: ${error.message}`));
  }
}

// Before memory is measured; needs --expose-gc.
process.on("SIGUSR2", () => globalThis.gc());
