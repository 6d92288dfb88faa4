// The broker under load that is not fair: a peer that stops acknowledging, a long queue, everyone
// coming back at once. The rest is served, and memory stays bounded.
// NAVE_BROKER_QUEUED (50,000) and NAVE_BROKER_STORM (2,000) set the sizes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { peerKeys } from '../support/broker_peer.mjs';
import { onEachBroker, Scene, settled } from '../support/broker_scene.mjs';
import { until } from '../support/server.mjs';

const kQueued = Number(process.env.NAVE_BROKER_QUEUED ?? 50_000);
const kStorm = Number(process.env.NAVE_BROKER_STORM ?? 2_000);
const kMeshes = 8;

const residentMb = ({ server }) =>
    Number(
        /VmRSS:\s+(\d+) kB/.exec(fs.readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1],
    ) / 1024;

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

// Sends `count` envelopes with `window` of them not acknowledged at any time.
async function stream(peer, target, count, { window = 256, size = 0, first = 0 } = {}) {
    const pad = 'x'.repeat(size);
    let acknowledged = 0;
    let sent = 0;
    let refused = 0;
    await new Promise((resolve, reject) => {
        const pump = () => {
            while (sent < count && sent - acknowledged < window) {
                peer.send({
                    type: 'send',
                    targetSpec: target,
                    nonce: '',
                    ciphertext: `${first + sent} ${pad}`,
                });
                sent += 1;
            }
        };
        const watcher = (message) => {
            if (message.type !== 'ack') {
                return;
            }
            acknowledged += 1;
            refused += message.queued ? 0 : 1;
            if (acknowledged === count) {
                peer.watchers.delete(watcher);
                resolve();
            }
            pump();
        };
        peer.watchers.add(watcher);
        peer.closed.then(() => reject(new Error('the sender was closed')));
        pump();
    });
    peer.messages.length = 0;
    return refused;
}

// The numbers that `stream` put first, in the order of arrival.
const numbersOf = (peer) => peer.pushes().map(({ ciphertext }) => Number.parseInt(ciphertext, 10));

// How long a direct envelope takes from one peer to another, in ms.
async function latency(from, to, count = 40) {
    const times = [];
    for (let i = 0; i < count; i += 1) {
        const text = `ping ${Math.random()}`;
        const start = process.hrtime.bigint();
        await Promise.all([from.envelope(to.key, text), to.push(text)]);
        times.push(Number(process.hrtime.bigint() - start) / 1e6);
    }
    return median(times);
}

// As clients do: whose hello is not answered in time tries again. (All peers here share one process
// with everyone else's work, and a socket that is silent for ten seconds is closed.)
const comesBack = (connect) =>
    until(() => connect(), { deadlineMs: 180_000, everyMs: 500, what: 'a peer is back' });

onEachBroker(
    'the broker under unfair load',
    (context) => {
        test('a peer that does not read: the others do not notice, memory stays', async (t) => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
            const deaf = await scene.peer(scene.ada);
            const bob = await scene.peer(scene.bob);
            const cyd = await scene.peer(scene.cyd);
            const usual = await latency(bob, cyd);
            deaf.socket.pause();
            const start = Date.now();
            const before = residentMb(context);
            // Up to 120 MB for somebody who takes none of it; who does not answer a ping either is
            // cut after a minute.
            let count = 0;
            for (; count < 4_000 && Date.now() - start < 15_000; count += 250) {
                const options = { size: 30_000, window: 64, first: count };
                assert.equal(await stream(bob, deaf.key, 250, options), 0);
            }
            const grown = residentMb(context) - before;
            const ms = await latency(bob, cyd);
            deaf.socket.resume();
            t.diagnostic(
                `${(count * 0.03).toFixed(0)} MB sent, ${grown.toFixed(0)} MB more, ` +
                    `${ms.toFixed(1)} ms among the others, before ${usual.toFixed(1)} ms`,
            );
            assert.ok(grown < 100, `${grown} MB more`);
            assert.ok(ms < 200 + 20 * usual, `${ms} ms`);
            await until(() => numbersOf(deaf).length >= count, {
                deadlineMs: 180_000,
                what: 'all of it arrives once it is read',
            });
            assert.deepEqual(
                numbersOf(deaf),
                Array.from({ length: count }, (_, i) => i),
            );
            await Promise.all([deaf.close(), bob.close(), cyd.close()]);
        });

        test('a peer that acknowledges once and never again', async (t) => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
            const lazy = await scene.peer(scene.ada);
            lazy.send({ type: 'client_ack', brokerMessageId: 'none' });
            await settled(lazy);
            const bob = await scene.peer(scene.bob);
            const cyd = await scene.peer(scene.cyd);
            const usual = await latency(bob, cyd);
            const before = residentMb(context);
            await stream(bob, lazy.key, 10_000, { size: 1_000 });
            const grown = residentMb(context) - before;
            const ms = await latency(bob, cyd);
            t.diagnostic(
                `${grown.toFixed(0)} MB more, ${ms.toFixed(1)} ms among the others, ` +
                    `before ${usual.toFixed(1)} ms`,
            );
            assert.ok(grown < 60, `${grown} MB more`);
            assert.ok(ms < 200 + 20 * usual, `${ms} ms`);
            const pushed = lazy.pushes();
            assert.ok(pushed.length < 10_000, 'it does not get everything in advance');
            // It goes on where it had stopped, as soon as it acknowledges.
            let at = 0;
            const acknowledge = () => {
                for (; at < lazy.messages.length; at += 1) {
                    const { type, messageId } = lazy.messages[at];
                    if (type === 'push') {
                        lazy.send({ type: 'client_ack', brokerMessageId: messageId });
                    }
                }
                return numbersOf(lazy).at(-1) === 9_999;
            };
            await until(acknowledge, { deadlineMs: 180_000, what: 'the rest arrives' });
            assert.deepEqual(
                numbersOf(lazy),
                Array.from({ length: 10_000 }, (_, i) => i),
            );
            await Promise.all([lazy.close(), bob.close(), cyd.close()]);
        });

        test(`${kQueued} envelopes for an absent peer arrive in order`, async (t) => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
            const bob = await scene.peer(scene.bob);
            const start = Date.now();
            const refused = await stream(bob, scene.ada.keys.hex, kQueued, { window: 900 });
            const stored = Date.now();
            assert.equal(refused, 0);
            const cyd = await scene.peer(scene.cyd);
            const before = residentMb(context);
            const ada = await scene.peer(scene.ada);
            const arrived = until(() => ada.messages.length > kQueued, {
                deadlineMs: 600_000,
                everyMs: 50,
                what: 'all arrive',
            });
            const ms = await latency(bob, cyd, 10);
            await arrived;
            const grown = residentMb(context) - before;
            t.diagnostic(
                `stored in ${stored - start} ms, replayed in ${Date.now() - stored} ms, ` +
                    `${grown.toFixed(0)} MB more, ${ms.toFixed(1)} ms among the others`,
            );
            const numbers = numbersOf(ada);
            assert.equal(numbers.length, kQueued);
            assert.equal(
                numbers.findIndex((number, i) => number !== i),
                -1,
                'in order',
            );
            assert.ok(grown < 100, `${grown} MB more`);
            await Promise.all([ada.close(), bob.close(), cyd.close()]);
        });

        test(`${kStorm} peers come back at once after a restart`, async (t) => {
            const scenes = [];
            for (let i = 0; i < kMeshes; i += 1) {
                scenes.push(await Scene.make(context, 'ada', 'bob'));
            }
            // Each mesh has one member with many sessions, and one that writes to all.
            const sessions = Array.from({ length: kStorm }, peerKeys);
            const connectAll = () =>
                Promise.all(
                    sessions.map(async (session, i) => {
                        const scene = scenes[i % kMeshes];
                        return comesBack(() => scene.peer(scene.ada, { session }));
                    }),
                );
            let peers = await connectAll();
            await context.backend.restart();
            peers.forEach(({ socket }) => socket.terminate());
            const start = Date.now();
            peers = await connectAll();
            t.diagnostic(`${Date.now() - start} ms, ${residentMb(context).toFixed(0)} MB`);
            await Promise.all(
                scenes.map(async (scene) => {
                    const bob = await scene.peer(scene.bob);
                    await bob.envelope('*', 'to all');
                    await bob.close();
                }),
            );
            await until(
                () => peers.every((peer) => peer.pushes().some((p) => p.ciphertext === 'to all')),
                { deadlineMs: 120_000, everyMs: 50, what: 'a broadcast reaches all of them' },
            );
            assert.ok(peers.every(({ end }) => end === undefined));
            peers.forEach(({ socket }) => socket.terminate());
        });
    },
    {
        env: {
            BROKER_SEND_LIMIT: '1000000/s:1000000',
            BROKER_LOG_LEVEL: 'info',
            MAX_CONNECTIONS_PER_MESH: '10000',
        },
    },
);
