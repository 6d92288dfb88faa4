// A peer of the broker in one file: needs Node 20 or newer and nothing else.
//
//   node examples/broker-peer.mjs FILE join LINK NAME      makes keys, joins a mesh by an invite
//   node examples/broker-peer.mjs FILE peers               who is there
//   node examples/broker-peer.mjs FILE send WHO TEXT       WHO: a name, a key, *, or @group
//   node examples/broker-peer.mjs FILE listen [COUNT]      prints what comes; ends after COUNT
//
// FILE holds the private key: keep it to yourself. `listen` comes back whenever the connection or
// the broker is lost; what was sent meanwhile arrives then. The wire format is described in
// docs/protocol/broker.md.
//
// Envelopes to a key are encrypted end to end (ChaCha20-Poly1305 under X25519 of both identities).
// Clients of the original use libsodium's crypto_box instead, whose cipher Node does not have: to
// talk to those, replace seal() and open(); for the broker it is all the same.
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const [file, command, ...words] = process.argv.slice(2);
const isKey = (text) => /^[0-9a-f]{64}$/.test(text);

function giveUp(why) {
    console.error(why);
    process.exit(1);
}

// ---- keys: one Ed25519 identity, used for X25519 as well ----

// The raw 32 bytes are the end of a DER key; the rest is a fixed prefix.
const kPrivatePrefix = {
    ed25519: '302e020100300506032b657004220420',
    x25519: '302e020100300506032b656e04220420',
};
const kPublicPrefix = { ed25519: '302a300506032b6570032100', x25519: '302a300506032b656e032100' };
const der = (prefix, raw) => Buffer.concat([Buffer.from(prefix, 'hex'), raw]);
const privateKey = (kind, raw) =>
    crypto.createPrivateKey({ key: der(kPrivatePrefix[kind], raw), format: 'der', type: 'pkcs8' });
const publicKey = (kind, raw) =>
    crypto.createPublicKey({ key: der(kPublicPrefix[kind], raw), format: 'der', type: 'spki' });
const rawPublic = (key) =>
    crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32);

// From Ed25519 to X25519 as libsodium does it: the secret is the first half of SHA-512(seed), the
// public key u = (1 + y) / (1 - y) modulo 2^255 - 19, both little-endian.
const kPrime = 2n ** 255n - 19n;
const fromLittle = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
const toLittle = (number) => Buffer.from(number.toString(16).padStart(64, '0'), 'hex').reverse();

function power(base, exponent) {
    let result = 1n;
    for (; exponent > 0n; exponent >>= 1n, base = (base * base) % kPrime) {
        result = exponent & 1n ? (result * base) % kPrime : result;
    }
    return result;
}

const agreementSecret = (seed) =>
    privateKey('x25519', crypto.createHash('sha512').update(seed).digest().subarray(0, 32));

function agreementPublic(keyHex) {
    const y = fromLittle(Buffer.from(keyHex, 'hex')) & (2n ** 255n - 1n);
    const u = ((1n + y) * power((1n - y + kPrime) % kPrime, kPrime - 2n)) % kPrime;
    return publicKey('x25519', toLittle(u));
}

// ---- sealing: a key for each direction, and the message's own id under the seal ----

const kCipher = 'chacha20-poly1305';
const kTag = { authTagLength: 16 };

function cipherKey(me, peer, from, to) {
    const shared = crypto.diffieHellman({
        privateKey: agreementSecret(me.seed),
        publicKey: agreementPublic(peer),
    });
    const purpose = `broker-peer example|${from}|${to}`;
    return Buffer.from(crypto.hkdfSync('sha256', shared, '', purpose, 32));
}

function seal(me, to, id, text) {
    const nonce = crypto.randomBytes(12);
    const key = cipherKey(me, to, me.pubkey, to);
    const cipher = crypto.createCipheriv(kCipher, key, nonce, kTag).setAAD(Buffer.from(id));
    const parts = [cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return { nonce: nonce.toString('base64'), ciphertext: Buffer.concat(parts).toString('base64') };
}

// Throws when it was not sealed by the sender for us under this id.
function open(me, { senderPubkey: from, nonce, ciphertext, client_message_id: id }) {
    const sealed = Buffer.from(ciphertext, 'base64');
    const key = cipherKey(me, from, from, me.pubkey);
    const decipher = crypto
        .createDecipheriv(kCipher, key, Buffer.from(nonce, 'base64'), kTag)
        .setAAD(Buffer.from(id))
        .setAuthTag(sealed.subarray(-16));
    return decipher.update(sealed.subarray(0, -16), undefined, 'utf8') + decipher.final('utf8');
}

// ---- a WebSocket client: text messages, as much of RFC 6455 as this broker speaks ----

const kSilenceMs = 75_000; // the server pings every 30 s

function encodeFrame(opcode, payload) {
    const size = payload.length;
    const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
    head[0] = 0x80 | opcode;
    head[1] = 0x80 | (head.length === 2 ? size : head.length === 4 ? 126 : 127);
    if (head.length === 4) {
        head.writeUInt16BE(size, 2);
    } else if (head.length === 10) {
        head.writeBigUInt64BE(BigInt(size), 2);
    }
    const mask = crypto.randomBytes(4);
    return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
}

// { opcode, final, payload, rest }, or undefined while it is not all there.
function decodeFrame(bytes) {
    if (bytes.length < 2) {
        return undefined;
    }
    const short = bytes[1] & 0x7f;
    const head = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (bytes.length < head) {
        return undefined;
    }
    let size = short;
    if (head > 2) {
        size = head === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    }
    const end = head + size;
    if (bytes.length < end) {
        return undefined;
    }
    return {
        opcode: bytes[0] & 0x0f,
        final: (bytes[0] & 0x80) !== 0,
        payload: bytes.subarray(head, end),
        rest: bytes.subarray(end),
    };
}

class Connection {
    // Resolves when the socket is open.
    static open(url, onMessage) {
        const key = crypto.randomBytes(16).toString('base64');
        return new Promise((resolve, reject) => {
            const transport = url.startsWith('wss:') ? https : http;
            const request = transport.request(url.replace(/^ws/, 'http'), {
                headers: {
                    Connection: 'Upgrade',
                    Upgrade: 'websocket',
                    'Sec-WebSocket-Key': key,
                    'Sec-WebSocket-Version': '13',
                },
            });
            request.on('error', reject);
            request.on('response', (answer) => reject(new Error(`HTTP ${answer.statusCode}`)));
            request.on('upgrade', (answer, socket, first) =>
                resolve(new Connection(socket, first, onMessage)),
            );
            request.end();
        });
    }

    constructor(socket, first, onMessage) {
        this.socket = socket;
        this.onMessage = onMessage;
        this.bytes = Buffer.alloc(0);
        this.text = [];
        this.end = { code: 1006, reason: '' };
        this.closed = new Promise((resolve) => socket.on('close', () => resolve(this.end)));
        socket.setTimeout(kSilenceMs, () => socket.destroy());
        socket.on('error', () => socket.destroy());
        socket.on('data', (bytes) => this.read(bytes));
        this.read(first);
    }

    read(bytes) {
        this.bytes = Buffer.concat([this.bytes, bytes]);
        for (let frame; (frame = decodeFrame(this.bytes)); ) {
            this.bytes = frame.rest;
            this.take(frame);
        }
    }

    take({ opcode, final, payload }) {
        if (opcode === 8) {
            this.end = {
                code: payload.length >= 2 ? payload.readUInt16BE(0) : 1005,
                reason: payload.subarray(2).toString(),
            };
            this.socket.end(encodeFrame(8, payload));
        } else if (opcode === 9) {
            this.socket.write(encodeFrame(10, payload)); // the broker counts on these answers
        } else if (opcode <= 1) {
            this.text.push(payload);
            if (final) {
                this.onMessage(JSON.parse(Buffer.concat(this.text.splice(0)).toString()));
            }
        }
    }

    send(message) {
        this.socket.write(encodeFrame(1, Buffer.from(JSON.stringify(message))));
    }

    close() {
        this.socket.write(encodeFrame(8, Buffer.from([0x03, 0xe8])));
        return this.closed;
    }
}

// ---- the peer ----

function load() {
    if (!fs.existsSync(file)) {
        giveUp(`${file} does not exist: join a mesh first`);
    }
    const me = JSON.parse(fs.readFileSync(file, 'utf8'));
    return { ...me, seed: Buffer.from(me.seed, 'hex') };
}

function save(me) {
    const text = JSON.stringify({ ...me, seed: me.seed.toString('hex') }, null, 2);
    fs.writeFileSync(file, `${text}\n`, { mode: 0o600 });
}

function signedHello(me, session) {
    const timestamp = Date.now();
    const bytes = Buffer.from(`${me.meshId}|${me.memberId}|${me.pubkey}|${timestamp}`);
    return {
        type: 'hello',
        meshId: me.meshId,
        memberId: me.memberId,
        pubkey: me.pubkey,
        // The same one after a break: the broker then takes us for who we were.
        sessionId: `${me.pubkey.slice(0, 16)} ${session}`,
        pid: process.pid,
        cwd: process.cwd(),
        timestamp,
        signature: crypto.sign(null, bytes, privateKey('ed25519', me.seed)).toString('hex'),
    };
}

class Peer {
    // Connected and greeted. Envelopes may come right behind the greeting, so both are given to
    // callbacks, in order: onHello(ack, peer), onPush(push, peer).
    static async connect(me, session, { onHello = () => {}, onPush = () => {} } = {}) {
        const peer = Object.assign(new Peer(), { onHello, onPush, waiting: new Map(), counter: 0 });
        peer.connection = await Connection.open(me.url, (message) => peer.take(message));
        await peer.request(signedHello(me, session)).catch((error) => {
            peer.connection.socket.destroy();
            throw error;
        });
        return peer;
    }

    take(message) {
        const answer = this.waiting.get(message._reqId);
        if (message.type === 'push') {
            this.onPush(message, this);
        } else if (message.type === 'hello_ack') {
            this.onHello(message, this);
        }
        if (answer) {
            this.waiting.delete(message._reqId);
            answer(message);
        }
    }

    // The answer that carries our `_reqId`; an error is thrown.
    async request(fields) {
        const id = `r${(this.counter += 1)}`;
        const answered = new Promise((resolve) => this.waiting.set(id, resolve));
        this.connection.send({ ...fields, _reqId: id });
        const answer = await Promise.race([answered, this.connection.closed]);
        if (answer.type === undefined) {
            throw new Error(`the connection ended: ${answer.code} ${answer.reason}`);
        }
        if (answer.type === 'error') {
            throw Object.assign(new Error(answer.message), { refusal: answer.code });
        }
        return answer;
    }
}

// Ends after which coming back is not wanted: replaced or refused, kicked, banned.
const isFinalClose = ({ code, reason }) =>
    [1000, 1008, 4001, 4002].includes(code) && reason !== 'disconnected';
// Of a hello: what may be otherwise a moment later.
const mayPass = (refusal) => /^(capacity|replayed|busy|storage\..*)$/.test(refusal);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- commands ----

const inviteOf = (link) => {
    const token = link.split(/[?#]/)[0].split('/').at(-1);
    return { token, invite: JSON.parse(Buffer.from(token, 'base64url').toString()) };
};

const kSignedFields = [
    'v',
    'mesh_id',
    'mesh_slug',
    'broker_url',
    'expires_at',
    'mesh_root_key',
    'role',
    'owner_pubkey',
];

async function join(link, name) {
    const { token, invite } = inviteOf(link);
    const signed = kSignedFields.map((name) => invite[name]).join('|');
    const owner = publicKey('ed25519', Buffer.from(invite.owner_pubkey, 'hex'));
    if (!crypto.verify(null, Buffer.from(signed), owner, Buffer.from(invite.signature, 'hex'))) {
        giveUp('the invite is not signed by the owner it names');
    }
    // Who has been a member before stays the same one.
    const seed = fs.existsSync(file) ? load().seed : crypto.randomBytes(32);
    const pubkey = rawPublic(privateKey('ed25519', seed)).toString('hex');
    const base = invite.broker_url.replace(/^ws/, 'http').replace(/\/ws$/, '');
    const answer = await fetch(`${base}/join`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
            invite_token: token,
            invite_payload: invite,
            peer_pubkey: pubkey,
            display_name: name,
        }),
    });
    const joined = await answer.json();
    if (!joined.ok) {
        giveUp(`the broker refused: ${joined.error}`);
    }
    save({
        name,
        url: invite.broker_url,
        meshId: invite.mesh_id,
        memberId: joined.memberId,
        pubkey,
        seed,
        known: {}, // name -> key, as first seen
        seen: [], // message ids: what comes twice is shown once
    });
    console.log(`${name} joined ${invite.mesh_slug} as member ${joined.memberId}, key ${pubkey}`);
}

async function listPeers(me, peer) {
    const { peers } = await peer.request({ type: 'list_peers' });
    for (const { displayName, pubkey } of peers) {
        me.known[displayName] ??= pubkey;
    }
    save(me);
    return peers;
}

// Others choose their names and texts; none of it moves the cursor of a terminal.
const printable = (text) => text.replace(/\p{C}/gu, ' ');

async function showPeers(me) {
    const peer = await Peer.connect(me, 'command');
    for (const { displayName, status, pubkey, connectedAt } of await listPeers(me, peer)) {
        const names = `${displayName.padEnd(10)} ${status.padEnd(8)}`;
        console.log(printable(`${names} since ${connectedAt}  ${pubkey}`));
    }
    await peer.connection.close();
}

// Anybody can take any name: the key that was first seen under it is the one that is meant.
function keyOf(who, me, peers) {
    const key = me.known[who];
    if (!isKey(key)) {
        giveUp(`nobody called ${who} has been seen; give the key`);
    }
    const others = peers.filter((peer) => peer.displayName === who && peer.pubkey !== key);
    if (others.length > 0) {
        giveUp(`${who} is here with another key, ${others[0].pubkey}: ask them, and give the key`);
    }
    return key;
}

async function send(me, who, text) {
    const peer = await Peer.connect(me, 'command');
    const peers = await listPeers(me, peer);
    const target = isKey(who) || /^[*@]/.test(who) ? who : keyOf(who, me, peers);
    // Made once: a send that is repeated under the same id is stored once.
    const id = crypto.randomUUID();
    const sealed = isKey(target)
        ? seal(me, target, id, text)
        : { nonce: '', ciphertext: Buffer.from(text).toString('base64') };
    const ack = await peer.request({
        type: 'send',
        id,
        client_message_id: id,
        targetSpec: target,
        priority: 'next',
        ...sealed,
    });
    console.log(`stored as ${ack.messageId}${isKey(target) ? ', encrypted' : ''}`);
    await peer.connection.close();
}

function show(me, push) {
    let text = `(cannot be opened) ${push.ciphertext}`;
    let how = 'encrypted';
    if (push.nonce === '') {
        text = Buffer.from(push.ciphertext, 'base64').toString();
        how = 'not encrypted';
    } else {
        try {
            text = open(me, push);
        } catch {
            how = 'for another key, or forged';
        }
    }
    console.log(printable(`${push.senderName} (${how}): ${text}`));
}

async function listen(me, count) {
    let left = count;
    let attempt = 0;
    const onHello = (ack, peer) => {
        attempt = 0;
        console.log(`${me.name} is connected${ack.restored ? ' again' : ''}`);
        // Says that we acknowledge: from here on nothing counts as arrived by itself.
        peer.connection.send({ type: 'client_ack' });
    };
    const onPush = (push, peer) => {
        if (left === 0) {
            return; // not acknowledged: it comes again
        }
        if (!me.seen.includes(push.messageId)) {
            show(me, push);
            me.seen = [...me.seen, push.messageId].slice(-1_000);
            me.known[push.senderName] ??= push.senderPubkey;
            save(me);
            left -= 1;
        }
        // After it is safe with us. Until then the broker keeps it.
        peer.connection.send({ type: 'client_ack', brokerMessageId: push.messageId });
        if (left === 0) {
            peer.connection.close();
        }
    };
    while (left !== 0) {
        try {
            const peer = await Peer.connect(me, 'listen', { onHello, onPush });
            const end = await peer.connection.closed;
            if (left !== 0 && isFinalClose(end)) {
                giveUp(`the broker ended it: ${end.code} ${end.reason}`);
            }
        } catch (error) {
            if (error.refusal && !mayPass(error.refusal)) {
                giveUp(`the broker refused: ${error.refusal}: ${error.message}`);
            }
        }
        if (left !== 0) {
            await pause(Math.min(30_000, 1_000 * 2 ** attempt) * (0.5 + Math.random() / 2));
            attempt += 1;
        }
    }
}

const kCommands = {
    join: { words: 2, run: () => join(...words) },
    peers: { words: 0, run: () => showPeers(load()) },
    send: { words: 2, run: () => send(load(), ...words) },
    listen: { words: 0, run: () => listen(load(), Number(words[0] ?? Infinity)) },
};

const chosen = kCommands[command];
if (!chosen || words.length < chosen.words) {
    giveUp('usage: broker-peer.mjs FILE join LINK NAME | peers | send WHO TEXT | listen [COUNT]');
}
await chosen.run().catch((error) => {
    const why = error.refusal ?? error.cause?.code ?? error.code ?? '';
    giveUp(`failed: ${why} ${error.message}`);
});
