// The opponent of `bench direct-messages`: the durable direct message as one writes it on Node with socket.io and pg.
//
// One statement and one commit per message: block check, thread upsert with the gapless seq, message row, outbox row.
// Then the recipient's `newMessage` and the acknowledgement. Tuned: WebSocket only, no compression, a key object
// instead of a string secret, a prepared statement on a pool of ten, only the columns that are not known already.
// It does less than Plaza does: no retry by client id, no suspension or connection rule, no reader of the outbox.

import { createSecretKey } from "node:crypto";
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import pg from "pg";
import { Server } from "socket.io";

const ISSUER = "plaza";
const EPOCH_MS = 1_704_067_200_000n;
const NODE = 1n << 12n;
const LONGEST = 10_000;

const pool = new pg.Pool({ max: 10, idleTimeoutMillis: 0 }); // where: PGHOST, PGUSER, PGPASSWORD, PGDATABASE

const ORG = { name: "org", text: "select id from org where slug = $1" };
const KEYS = { name: "keys", text: "select kid, secret from org_key where org = $1 and algorithm = 'HS256' and retired_at is null" };
const ARRIVE = {
  name: "arrive",
  text: `
    insert into person as p (org, id, email, subject, claimed_at, created_at, updated_at) values ($1, $2, $3, $4, $5, $5, $5)
    on conflict (org, email) do update set updated_at = $5
    returning p.id, p.email, p.first_name, p.last_name, p.image, p.company, p.job_title`,
};
const SEND = {
  name: "send",
  text: `
    with judged as (
      select p.id, p.email,
        exists (select 1 from block where org = $1 and blocker = $2 and blocked = p.id)
        or exists (select 1 from block where org = $1 and blocker = p.id and blocked = $2) as blocked
      from person p where p.org = $1 and p.email = $3 and p.id <> $2
    ),
    placed as (
      insert into thread as t (org, id, low, high, last_seq, last_message, created_at)
      select $1, $4, least($2::bigint, id), greatest($2::bigint, id), 1, $5, $8 from judged where not blocked
      on conflict (org, low, high) do update
        set last_seq = t.last_seq + 1, last_message = greatest(t.last_message, excluded.last_message)
      returning t.id, t.last_seq
    ),
    written as (
      insert into message (org, id, thread, seq, sender, recipient, content, content_type, attachments, client_id, created_at)
      select $1, $5, placed.id, placed.last_seq, $2, judged.id, $6, 'text', '[]', $7, $8 from placed, judged
    ),
    announced as (
      insert into outbox (org, kind, fact, created_at)
      select $1, 'message.sent', jsonb_build_object(
        'message', $5::bigint, 'thread', placed.id, 'sender', $2::bigint, 'recipient', judged.id), $8
      from placed, judged
    )
    select judged.id, judged.email, judged.blocked, placed.id as thread, placed.last_seq as seq
    from judged left join placed on true`,
};

let lastMs = 0n;
let count = 0n;

function newId() {
  const ms = BigInt(Date.now()) - EPOCH_MS;
  if (ms > lastMs) {
    lastMs = ms;
    count = 0n;
  } else if (++count >= NODE) {
    lastMs += 1n;
    count = 0n;
  }
  return ((lastMs << 22n) | NODE | count).toString();
}

const keys = new Map(); // organisation and key id → a key object: a string would be turned into one at each token
async function keyOf(org, kid) {
  const name = `${org}/${kid}`;
  if (!keys.has(name)) {
    for (const row of (await pool.query({ ...KEYS, values: [org] })).rows) {
      keys.set(`${org}/${row.kid}`, createSecretKey(row.secret));
    }
  }
  return keys.get(name);
}

async function authenticate(socket, next) {
  try {
    const { token, orgId } = socket.handshake.auth;
    const org = (await pool.query({ ...ORG, values: [orgId] })).rows[0].id;
    const key = await keyOf(org, jwt.decode(token, { complete: true }).header.kid);
    const claims = jwt.verify(token, key, { algorithms: ["HS256"], audience: ISSUER, issuer: ISSUER });
    if (claims.org !== orgId) throw new Error("org_mismatch");
    const values = [org, newId(), claims.email, claims.sub, new Date().toISOString()];
    const person = (await pool.query({ ...ARRIVE, values })).rows[0];
    socket.data = { org, id: person.id, email: person.email, card: cardOf(person) };
    next();
  } catch (error) {
    next(new Error(`auth.invalid_token: ${error.message}`));
  }
}

function cardOf(person) {
  return {
    id: person.id,
    email: person.email,
    firstName: person.first_name,
    lastName: person.last_name,
    image: person.image,
    company: person.company,
    jobTitle: person.job_title,
  };
}

async function send(me, body) {
  const { to, content, clientId = null } = body;
  if (typeof to !== "string" || typeof content !== "string" || !content.trim() || content.length > LONGEST) {
    return { success: false, error: "Bad message", code: "message.invalid" };
  }
  const id = newId();
  const createdAt = new Date().toISOString();
  const values = [me.org, me.id, to, newId(), id, content, clientId, createdAt];
  const row = (await pool.query({ ...SEND, values })).rows[0];
  if (row === undefined) return { success: false, error: "Nobody is called that", code: "person.not_found" };
  if (row.blocked) return { success: false, error: "You cannot send messages to this person", code: "message.blocked" };
  const message = {
    id,
    thread: row.thread,
    seq: Number(row.seq),
    from: me.email,
    to: row.email,
    content,
    contentType: "text",
    attachments: [],
    replyTo: null,
    replyPreview: null,
    clientId: null,
    status: "sent",
    createdAt,
    deliveredAt: null,
    readAt: null,
    fromInfo: me.card,
  };
  community.to(`${me.org}/u/${row.id}`).emit("newMessage", message);
  return { success: true, message: { ...message, clientId } };
}

const http = createServer((request, response) => {
  response.writeHead(request.url === "/readyz" ? 200 : 404).end();
});
const io = new Server(http, {
  transports: ["websocket"],
  allowUpgrades: false,
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});
const community = io.of("/community-chat");
community.use(authenticate);
community.on("connection", (socket) => {
  socket.join(`${socket.data.org}/u/${socket.data.id}`);
  socket.on("sendMessage", async (body, ack) => {
    try {
      ack(await send(socket.data, body));
    } catch (error) {
      console.error(error);
      ack({ success: false, error: "Something went wrong", code: "internal" });
    }
  });
});

process.on("SIGTERM", () => {
  io.close();
  pool.end().then(() => process.exit(0));
});
http.listen(Number(process.argv[2]), "127.0.0.1");
