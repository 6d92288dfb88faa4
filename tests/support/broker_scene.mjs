// What the broker's tests share: the store matrix with the broker in it, members and their peers,
// refusals as a client sees them, and samples of /metrics.
import assert from 'node:assert/strict';
import { freshTime, Peer } from './broker_peer.mjs';
import { until } from './server.mjs';
import { onEachStore } from './stores.mjs';

export const onEachBroker = (name, define, options = {}) =>
    onEachStore(name, define, { services: ['broker'], ...options });

// Members of one mesh and the peers they connect with.
export class Scene {
    // `names` are the members; they are properties of the scene.
    static async make(context, ...names) {
        const scene = new Scene(context);
        scene.mesh = await context.admin.createMesh();
        for (const name of names) {
            scene[name] = await context.admin.member(scene.mesh, name);
        }
        return scene;
    }

    constructor(context) {
        this.context = context;
    }

    // A connected peer of a member.
    peer(member, options = {}) {
        return Peer.connect(this.context.server.url, member, options);
    }

    // Connected, but no hello yet.
    async stranger(member, options = {}) {
        const peer = new Peer(this.context.server.url, member, options);
        await peer.opened;
        return peer;
    }
}

// Sends a hello that must be refused: the error's code, the close and the metric's label.
export async function expectRefused(context, peer, message, { code, reason, close, label }) {
    const series = `broker_connections_rejected_total{reason="${label ?? code}"}`;
    const before = await sample(context, series);
    peer.send(message);
    const error = await peer.next((m) => m.type === 'error');
    assert.equal(error.code, code);
    assert.deepEqual(await peer.closed, { code: close ?? 1008, reason: reason ?? code });
    assert.equal(await sample(context, series), before + 1, series);
    return error;
}

export async function metricsText(context, headers = {}) {
    const response = await fetch(`${context.server.url}/metrics`, { headers });
    assert.equal(response.status, 200);
    return response.text();
}

// The value of one series, named as in the exposition.
export async function sample(context, series) {
    const line = (await metricsText(context)).split('\n').find((l) => l.startsWith(`${series} `));
    assert.ok(line, `no series ${series}`);
    return Number(line.split(' ').at(-1));
}

// A session_hello and its parts, each of which can be changed before it is signed.
export function sessionHello(member, session, changes = {}) {
    const { mesh, id, keys } = member;
    const attestation = {
        sessionPubkey: session.hex,
        parentMemberPubkey: keys.hex,
        expiresAt: Date.now() + 12 * 3600 * 1000,
        ...changes.attestation,
    };
    attestation.signature ??= (changes.parent ?? keys).sign(
        `claudemesh-session-attest|${attestation.parentMemberPubkey}|` +
            `${attestation.sessionPubkey}|${attestation.expiresAt}`,
    );
    const message = {
        type: 'session_hello',
        meshId: mesh.id,
        parentMemberId: id,
        parentMemberPubkey: keys.hex,
        sessionPubkey: session.hex,
        parentAttestation: attestation,
        sessionId: `session ${session.hex.slice(0, 8)}`,
        pid: 1,
        cwd: '/somewhere',
        timestamp: freshTime(),
        ...changes.message,
    };
    message.signature ??= session.sign(
        `claudemesh-session-hello|${message.meshId}|${message.parentMemberPubkey}|` +
            `${message.sessionPubkey}|${message.timestamp}`,
    );
    return message;
}

// The text of every push so far.
export const texts = (peer) => peer.pushes().map(({ ciphertext }) => ciphertext);

// Everything the server had for this peer when it was asked is in `peer.messages` now.
export const settled = (peer) => peer.request({ type: 'list_peers' });

// The broker knows that the envelope of this ack has arrived.
export const delivered = (sender, { messageId }) =>
    until(
        async () => (await sender.request({ type: 'message_status', messageId })).delivered,
        { deadlineMs: 30_000, what: `${messageId} is delivered` },
    );
