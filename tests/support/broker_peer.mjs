// Peer: one member of a mesh over a WebSocket, as the original's clients behave: signs its hello,
// answers pings, matches answers by `_reqId` or by type in order, keeps every push.
import crypto from 'node:crypto';
import WebSocket from 'ws';
import { ed25519KeyPair } from './keys.mjs';
import { until } from './server.mjs';

const hex = (bytes) => Buffer.from(bytes).toString('hex');

// The time of day, but never the same twice: hellos that one member signs within the same
// millisecond have the same bytes, and the second would be a replay.
let lastTime = 0;
export const freshTime = () => (lastTime = Math.max(lastTime + 1, Date.now()));

// A key pair of a member or a session.
export function peerKeys() {
    const pair = ed25519KeyPair();
    return {
        hex: hex(pair.publicKey),
        sign: (text) => hex(pair.sign(Buffer.from(text))),
    };
}

// The admin side over HTTP.
export class BrokerAdmin {
    constructor(url, token) {
        this.url = url;
        this.token = token;
    }

    async call(method, path, body) {
        const response = await fetch(`${this.url}${path}`, {
            method,
            headers: { Authorization: `Bearer ${this.token}`, 'Content-Type': 'application/json' },
            body: body === undefined ? undefined : JSON.stringify(body),
        });
        const text = await response.text();
        const json = text.startsWith('{') ? JSON.parse(text) : undefined;
        return { status: response.status, text, json };
    }

    async createMesh(name = `mesh ${crypto.randomBytes(4).toString('hex')}`) {
        return (await this.call('POST', '/admin/meshes', { name })).json;
    }

    async invite(mesh, wish = {}) {
        return (await this.call('POST', `/admin/meshes/${mesh.id}/invites`, wish)).json;
    }

    // A new member by a fresh invite: { id, keys, name, mesh }.
    async member(mesh, name, wish = {}) {
        const invite = await this.invite(mesh, wish);
        const keys = peerKeys();
        const joined = await join(this.url, invite.token, keys.hex, name);
        if (!joined.json?.ok) {
            throw new Error(`join: ${joined.status} ${joined.text}`);
        }
        return { id: joined.json.memberId, keys, name, mesh };
    }
}

export const inviteOf = (token) => JSON.parse(Buffer.from(token, 'base64url').toString());

export async function join(url, token, pubkey, name, payload = inviteOf(token)) {
    const response = await fetch(`${url}/join`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
            invite_token: token,
            invite_payload: payload,
            peer_pubkey: pubkey,
            display_name: name,
        }),
    });
    const text = await response.text();
    return { status: response.status, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}

export class Peer {
    constructor(url, member, options = {}) {
        this.member = member;
        this.options = options;
        this.sessionId = options.sessionId ?? crypto.randomUUID();
        this.session = options.session; // peerKeys(), optional
        this.messages = [];
        this.watchers = new Set();
        this.counter = 0;
        this.socket = new WebSocket(`${url.replace(/^http/, 'ws')}/ws`, {
            autoPong: options.autoPong ?? true,
            ...options.transport, // of TLS: ca, localAddress
        });
        this.socket.on('message', (data) => {
            const message = JSON.parse(data.toString());
            this.messages.push(message);
            this.watchers.forEach((watcher) => watcher(message));
        });
        this.closed = new Promise((resolve) => {
            this.socket.on('close', (code, reason) => {
                this.end = { code, reason: reason.toString() };
                resolve(this.end);
            });
        });
        this.socket.on('error', (error) => (this.error = error));
        this.opened = new Promise((resolve, reject) => {
            this.socket.once('open', resolve);
            this.socket.once('error', reject);
        });
    }

    // Connected and greeted.
    static async connect(url, member, options = {}) {
        const peer = new Peer(url, member, options);
        await peer.opened;
        peer.ack = await peer.hello(options.hello);
        return peer;
    }

    helloMessage(changes = {}) {
        const { mesh, id, keys } = this.member;
        const timestamp = changes.timestamp ?? freshTime();
        return {
            type: 'hello',
            meshId: mesh.id,
            memberId: id,
            pubkey: keys.hex,
            sessionId: this.sessionId,
            pid: process.pid,
            cwd: this.options.cwd ?? '/srv/project',
            ...(this.session ? { sessionPubkey: this.session.hex } : {}),
            ...(this.options.groups ? { groups: this.options.groups } : {}),
            timestamp,
            signature: keys.sign(`${mesh.id}|${id}|${keys.hex}|${timestamp}`),
            ...changes,
        };
    }

    async hello(changes = {}) {
        this.send(this.helloMessage(changes));
        const answer = await this.next((m) => m.type === 'hello_ack' || m.type === 'error');
        if (answer.type === 'error') {
            throw Object.assign(new Error(`hello: ${answer.code}`), { answer });
        }
        return answer;
    }

    // The key that others reach this peer by.
    get key() {
        return this.session?.hex ?? this.member.keys.hex;
    }

    send(message) {
        this.socket.send(JSON.stringify(message));
    }

    // The first message, past or future, that satisfies the predicate and was not taken before.
    next(predicate, deadlineMs = 30_000) {
        const take = () => {
            const index = this.messages.findIndex((m) => !m.taken && predicate(m));
            if (index < 0) {
                return undefined;
            }
            Object.defineProperty(this.messages[index], 'taken', { value: true });
            return this.messages[index];
        };
        return until(take, { deadlineMs, everyMs: 2, what: `a message: ${predicate}` });
    }

    // Sends with a `_reqId` and resolves with the answer that echoes it.
    request(message) {
        const id = `r${(this.counter += 1)}`;
        this.send({ ...message, _reqId: id });
        return this.next((m) => m._reqId === id);
    }

    // An envelope; resolves with its ack (or error).
    async envelope(target, text, more = {}) {
        const id = `m${(this.counter += 1)}`;
        this.send({
            type: 'send',
            id,
            targetSpec: target,
            priority: 'next',
            nonce: 'bm9uY2U=',
            ciphertext: text,
            ...more,
        });
        return this.next((m) => (m.type === 'ack' || m.type === 'error') && m.id === id);
    }

    pushes() {
        return this.messages.filter((m) => m.type === 'push');
    }

    push(text, deadlineMs) {
        return this.next((m) => m.type === 'push' && m.ciphertext === text, deadlineMs);
    }

    async close() {
        this.socket.close();
        return this.closed;
    }

    // As a broken connection ends: without a close frame.
    cut() {
        this.socket.terminate();
        return this.closed;
    }
}
