// Where MAX_MESSAGE_BYTES is far above what a socket usually holds back, large envelopes arrive all
// the same, and who does not read for a while is held back, not closed.
import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';
import { keyOf } from '../../support/http_peer.mjs';
import { until } from '../../support/server.mjs';

const kMegabyte = 1 << 20;
const kLimit = 4 * kMegabyte;
const kCount = 8;
const kSize = kLimit - 1_000;

onEachBroker(
    'large envelopes',
    (context) => {
        const sendAll = async (peer, target) => {
            for (let i = 0; i < kCount; i += 1) {
                const ack = await peer.envelope(target, `${i}${'x'.repeat(kSize)}`);
                assert.equal(ack.queued, true, JSON.stringify(ack));
            }
        };
        const numbersOf = (pushes) => pushes.map(({ ciphertext }) => Number(ciphertext[0]));
        const expected = Array.from({ length: kCount }, (_, i) => i);

        test('a peer that reads gets them, and so does one that pauses', async () => {
            const scene = await Scene.make(context, 'ada', 'bob', 'cyd');
            const [ada, bob] = [await scene.peer(scene.ada), await scene.peer(scene.bob)];
            const cyd = await scene.peer(scene.cyd);
            cyd.socket.pause();
            await sendAll(bob, '*');
            // What others say meanwhile finds room, too.
            bob.send({ type: 'set_state', key: 'k', value: 'v'.repeat(30_000) });
            await settled(bob);
            cyd.socket.resume();
            for (const peer of [ada, cyd]) {
                await until(() => peer.pushes().length >= kCount, {
                    deadlineMs: 60_000,
                    what: 'all of them',
                });
                assert.deepEqual(numbersOf(peer.pushes()), expected);
                await peer.next((m) => m.type === 'state_change');
                assert.equal(peer.end, undefined);
            }
        });

        test('a stream that is not read for a while gets them', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const { token } = await keyOf(context, scene, scene.ada);
            const bob = await scene.peer(scene.bob);
            const request = http.get(`${context.server.url}/v1/messages/stream`, {
                headers: { Authorization: `Bearer ${token}` },
                agent: false,
            });
            const response = await new Promise((resolve) => request.once('response', resolve));
            await until(async () => (await settled(bob)).peers.length === 2);
            await sendAll(bob, scene.ada.keys.hex);
            bob.send({ type: 'set_state', key: 'k', value: 1 });
            await settled(bob);
            let text = '';
            response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
            const events = () =>
                text
                    .split('\n\n')
                    .slice(0, -1)
                    .map((block) => block.split('\n').find((line) => line.startsWith('data: ')))
                    .filter(Boolean)
                    .map((line) => JSON.parse(line.slice(6)));
            const acknowledged = new Set();
            await until(
                async () => {
                    const pushes = events().filter(({ type }) => type === 'push');
                    const messageIds = pushes
                        .map(({ messageId }) => messageId)
                        .filter((id) => !acknowledged.has(id));
                    if (messageIds.length > 0) {
                        messageIds.forEach((id) => acknowledged.add(id));
                        await fetch(`${context.server.url}/v1/messages/ack`, {
                            method: 'POST',
                            headers: {
                                Authorization: `Bearer ${token}`,
                                'Content-Type': 'application/json',
                            },
                            body: JSON.stringify({ messageIds }),
                        });
                    }
                    return acknowledged.size === kCount;
                },
                { deadlineMs: 60_000, everyMs: 200, what: 'all of them' },
            );
            const pushes = events().filter(({ type }) => type === 'push');
            assert.deepEqual([...new Set(numbersOf(pushes))], expected);
            assert.doesNotMatch(text, /^event: close$/m);
            request.destroy();
        });

        test('beyond the limit it is 1009', async () => {
            const scene = await Scene.make(context, 'ada');
            const ada = await scene.peer(scene.ada);
            ada.socket.send('x'.repeat(kLimit + 1));
            assert.equal((await ada.closed).code, 1009);
        });
    },
    { env: { MAX_MESSAGE_BYTES: String(kLimit), BROKER_SEND_LIMIT: '10000/s:10000' } },
);
