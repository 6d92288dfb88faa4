// The observer of the broker: open to its token only, true, live and resumable, and silent about what
// peers say to each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peerKeys } from '../../support/broker_peer.mjs';
import { onEachBroker, Scene, settled } from '../../support/broker_scene.mjs';
import { EventStream } from '../../support/http.mjs';
import { until } from '../../support/server.mjs';

const kToken = 'observer-token-of-the-broker-tests';
const kBearer = { Authorization: `Bearer ${kToken}` };
const kState = '/observer/v1/state';
const kEvents = '/observer/v1/events';
const kOn = { env: { BROKER_OBSERVER_TOKEN: kToken, SHADE_TRUSTED_PROXIES: '127.0.0.1/32' } };

// Contents that must never be seen here; each stands in one kind of message.
const kMarks = {
    ciphertext: 'bWFyayBvZiBhIGNpcGhlcnRleHQ=',
    nonce: 'bWFyayBvZiBhIG5vbmNl',
    state: 'mark-of-a-state-value',
    summary: 'mark-of-a-summary',
    memory: 'mark-of-a-memory',
    cwd: '/mark/of/a/directory',
};

onEachBroker(
    'observer',
    (context) => {
        let addresses = 0;
        const get = (path, headers = {}) =>
            fetch(`${context.server.url}${path}`, { headers, redirect: 'manual' });
        // Wrong tokens are counted by client address; these come from elsewhere.
        const stranger = (path, headers = {}) => {
            addresses += 1;
            return get(path, { 'X-Forwarded-For': `203.0.113.${addresses}`, ...headers });
        };
        const state = async () => {
            const response = await get(kState, kBearer);
            assert.equal(response.status, 200);
            assert.equal(response.headers.get('cache-control'), 'no-store');
            return response.json();
        };
        const watch = (headers = {}) =>
            EventStream.open(context.server.url, kEvents, { headers: { ...kBearer, ...headers } });
        const stateUntil = async (condition, what) => {
            let last;
            await until(async () => condition((last = await state())), { what });
            return last;
        };
        const meshOf = (shown, scene) => shown.meshes.find(({ id }) => id === scene.mesh.id);
        const peerOf = (shown, peer) => shown.peers.find(({ id }) => id === peer.ack.presenceId);
        const data = (event) => JSON.parse(event.data);
        // The next event of this type about this peer.
        const about = (stream, type, name) =>
            stream
                .next((event) => event.event === type && data(event).name === name)
                .then((event) => {
                    assert.ok(Number(event.id) > 0, 'events have ids');
                    return data(event);
                });

        test('the API needs the token as a bearer', async () => {
            for (const path of [kState, kEvents]) {
                for (const headers of [
                    {},
                    { Authorization: 'Bearer wrong' },
                    { Authorization: `Basic ${kToken}` },
                    { Authorization: kToken },
                    { Authorization: `Bearer ${kToken}x` },
                    { Authorization: `Bearer ${kToken.slice(0, -1)}` },
                    { Authorization: `Bearer ${context.server.env.BROKER_ADMIN_TOKEN}` },
                ]) {
                    const response = await stranger(path, headers);
                    assert.equal(response.status, 401, `${path} ${JSON.stringify(headers)}`);
                    assert.equal((await response.json()).ok, false);
                }
                assert.equal((await stranger(`${path}?token=${kToken}`)).status, 401);
            }
            assert.equal((await state()).service, 'broker');
        });

        test('ten wrong tokens make an address wait, with the right one too', async () => {
            const from = { 'X-Forwarded-For': '198.51.100.9' };
            const start = Date.now();
            const ask = () => get(kState, { ...from, Authorization: 'Bearer wrong' });
            let tried = 0;
            const held = await until(async () => {
                const wrong = await ask();
                tried += wrong.status === 401 ? 1 : 0;
                const right = wrong.status === 429 && (await get(kState, { ...from, ...kBearer }));
                return right.status === 429 && right;
            });
            // One more is allowed every six seconds.
            const most = 11 + (Date.now() - start) / 6_000;
            assert.ok(tried >= 10 && tried <= most, `${tried} were let through`);
            assert.ok(Number(held.headers.get('retry-after')) >= 1);
            await state();
        });

        test('the page needs no token and forbids everything foreign', async () => {
            const page = await get('/observer/');
            assert.equal(page.status, 200);
            assert.match(page.headers.get('content-type'), /^text\/html/);
            const policy = page.headers.get('content-security-policy');
            assert.match(policy, /default-src 'none'/);
            assert.doesNotMatch(policy, /unsafe|https?:/);
            const html = await page.text();
            assert.ok(!html.includes(kToken));
            for (const [, target] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
                const { origin, pathname } = new URL(target, `${context.server.url}/observer/`);
                assert.equal(origin, context.server.url, target);
                assert.equal((await get(pathname)).status, 200, target);
            }
            const redirect = await get('/observer');
            assert.equal(redirect.status, 308);
            assert.equal(redirect.headers.get('location'), 'observer/');
        });

        test('the state shows meshes and peers, by a prefix of their keys', async () => {
            const scene = await Scene.make(context, 'ada', 'bob');
            const session = peerKeys();
            const ada = await scene.peer(scene.ada, {
                session,
                groups: [{ name: 'front' }, { name: 'back', role: 'lead' }],
            });
            const bob = await scene.peer(scene.bob);
            bob.send({ type: 'set_status', status: 'dnd' });
            await settled(bob);
            const shown = await stateUntil((one) => meshOf(one, scene), 'the mesh in the state');
            const mesh = meshOf(shown, scene);
            assert.deepEqual(
                [mesh.name, mesh.slug, mesh.connected, mesh.leased, mesh.capacity, mesh.queued],
                [scene.mesh.name, scene.mesh.slug, 2, 0, 100, 0],
            );
            const first = peerOf(shown, ada);
            assert.equal(first.name, 'ada');
            assert.equal(first.mesh, scene.mesh.slug);
            assert.equal(first.key, session.hex.slice(0, 12));
            assert.equal(first.session, true);
            assert.deepEqual(first.groups, ['front', 'back']);
            assert.deepEqual(
                [first.status, first.source, first.role, first.inFlight, first.slow],
                ['idle', 'jsonl', 'member', 0, false],
            );
            assert.ok(Math.abs(first.connectedAt - shown.now) < 60_000);
            const second = peerOf(shown, bob);
            assert.deepEqual(
                [second.status, second.source, second.session, second.acknowledges],
                ['dnd', 'manual', false, false],
            );
            assert.equal(shown.figures.storage.kind, context.store);
            assert.equal(shown.figures.storage.healthy, true);
            assert.equal(shown.limits.sendsPerSecond, 20);
            assert.equal(shown.history.pushed.length, 360);
            const text = JSON.stringify(shown);
            for (const keys of [scene.ada.keys, scene.bob.keys, session]) {
                assert.ok(!text.includes(keys.hex), 'a full key is shown');
            }
        });

        test('events and ticks tell who joins, changes its status, leaves', async () => {
            const scene = await Scene.make(context, 'eva', 'fay');
            const before = await state();
            const stream = await watch();
            assert.match(stream.headers['content-type'], /^text\/event-stream/);
            const eva = await scene.peer(scene.eva);
            const joined = await about(stream, 'peer_joined', 'eva');
            assert.equal(joined.mesh, scene.mesh.slug);
            assert.equal(joined.key, scene.eva.keys.hex.slice(0, 12));
            const tick = data(
                await stream.next(
                    (event) =>
                        event.event === 'tick' &&
                        data(event).peers.some(({ id }) => id === eva.ack.presenceId),
                ),
            );
            assert.ok(tick.tick > before.tick);
            assert.ok(tick.figures.connected >= 1);
            eva.send({ type: 'set_status', status: 'working' });
            const changed = await about(stream, 'status_changed', 'eva');
            assert.deepEqual(
                [changed.before, changed.status, changed.source],
                ['idle', 'working', 'manual'],
            );
            await eva.cut();
            await about(stream, 'peer_disconnected', 'eva');
            const away = peerOf(await state(), eva);
            assert.ok(away.leaseEndsAt > away.connectedAt);
            await context.admin.call(
                'DELETE',
                `/admin/meshes/${scene.mesh.id}/members/${scene.eva.id}`,
            );
            await about(stream, 'peer_left', 'eva');
            const gone = await stream.next(
                (event) =>
                    event.event === 'tick' && data(event).gone.includes(eva.ack.presenceId),
            );
            assert.equal(gone.id ?? '', '', 'a tick has no id of its own');
            stream.close();
        });

        test('who was away gets the events it missed, but no old ticks', async () => {
            const scene = await Scene.make(context, 'gil');
            const first = await watch();
            const gil = await scene.peer(scene.gil);
            await about(first, 'peer_joined', 'gil');
            const seen = first.events.findLast(({ event }) => event === 'peer_joined').id;
            first.close();
            gil.send({ type: 'set_status', status: 'dnd' });
            await until(async () => peerOf(await state(), gil).status === 'dnd');
            const again = await watch({ 'Last-Event-ID': String(seen) });
            await about(again, 'status_changed', 'gil');
            assert.ok(!again.events.some(({ event }) => event === 'reset'));
            again.close();
        });

        test('what waits for an absent member is counted, with its age', async () => {
            const scene = await Scene.make(context, 'hal', 'ida');
            const hal = await scene.peer(scene.hal);
            const { figures: before } = await state();
            const sentAt = Date.now();
            for (const text of ['one', 'two']) {
                await hal.envelope(scene.ida.keys.hex, text);
            }
            const waiting = await stateUntil(
                (shown) => meshOf(shown, scene)?.queued === 2,
                'two envelopes in the queue',
            );
            assert.ok(Math.abs(meshOf(waiting, scene).oldestAt - sentAt) < 60_000);
            assert.ok(waiting.figures.queueDepth >= 2);
            const ida = await scene.peer(scene.ida);
            await ida.push('two');
            const done = await stateUntil(
                (shown) => meshOf(shown, scene).queued === 0,
                'an empty queue',
            );
            assert.equal(meshOf(done, scene).oldestAt, null);
            assert.ok(done.figures.pushed >= before.pushed + 2);
        });

        test('a peer that leaves pushes unanswered is slow, and then is not', async () => {
            const scene = await Scene.make(context, 'jon', 'kim');
            const kim = await scene.peer(scene.kim);
            const jon = await scene.peer(scene.jon);
            await jon.envelope(scene.kim.keys.hex, 'first');
            const push = await kim.push('first');
            kim.send({ type: 'client_ack', brokerMessageId: push.messageId });
            await until(async () => peerOf(await state(), kim).acknowledges, {
                what: 'a peer that acknowledges',
            });
            const stream = await watch();
            await jon.envelope(scene.kim.keys.hex, 'second');
            const unanswered = await kim.push('second');
            await until(async () => peerOf(await state(), kim).inFlight === 1);
            const slow = await stream.next(
                (event) => event.event === 'slow_consumer' && data(event).name === 'kim',
                60_000,
            );
            assert.equal(data(slow).inFlight, 1);
            assert.equal(peerOf(await state(), kim).slow, true);
            kim.send({ type: 'client_ack', brokerMessageId: unanswered.messageId });
            await about(stream, 'slow_consumer_over', 'kim');
            assert.equal(peerOf(await state(), kim).slow, false);
            stream.close();
        });

        test('refusals and rejections are counted by reason', async () => {
            const scene = await Scene.make(context, 'lea');
            const stream = await watch();
            const { figures: before } = await state();
            const late = await scene.stranger(scene.lea);
            late.send(late.helloMessage({ timestamp: Date.now() - 600_000 }));
            await late.closed;
            const refused = await stream.next(({ event }) => event === 'hello_refused');
            assert.deepEqual(
                [data(refused).reason, data(refused).count],
                ['timestamp_skew', 1],
            );
            const lea = await scene.peer(scene.lea);
            lea.socket.send('no json');
            const rejected = await stream.next(({ event }) => event === 'messages_rejected');
            assert.equal(data(rejected).reason, 'parse_or_handler');
            const { figures: now } = await state();
            assert.equal(now.refused.timestamp_skew, before.refused.timestamp_skew + 1);
            assert.equal(now.rejected.parse_or_handler, before.rejected.parse_or_handler + 1);
            stream.close();
        });

        test('meshes are told when they are made and archived', async () => {
            const stream = await watch();
            const mesh = await context.admin.createMesh();
            const made = (type) =>
                stream.next((event) => event.event === type && data(event).mesh === mesh.slug);
            assert.equal(data(await made('mesh_created')).name, mesh.name);
            await context.admin.call('POST', `/admin/meshes/${mesh.id}/archive`);
            await made('mesh_archived');
            assert.equal((await state()).meshes.find(({ id }) => id === mesh.id), undefined);
            stream.close();
        });

        test('nothing that peers say or store is ever shown', async () => {
            const scene = await Scene.make(context, 'mia', 'ned', 'old');
            const stream = await watch();
            const mia = await scene.peer(scene.mia, { cwd: kMarks.cwd });
            const ned = await scene.peer(scene.ned);
            for (const target of [scene.ned.keys.hex, scene.old.keys.hex, '*']) {
                const sent = await mia.envelope(target, kMarks.ciphertext, {
                    nonce: kMarks.nonce,
                });
                assert.equal(sent.type, 'ack');
            }
            await ned.push(kMarks.ciphertext);
            mia.send({ type: 'set_state', key: 'plan', value: kMarks.state });
            mia.send({ type: 'set_summary', summary: kMarks.summary });
            mia.send({ type: 'remember', content: kMarks.memory });
            await settled(mia);
            await mia.close();
            await about(stream, 'peer_disconnected', 'mia');
            const shown = await stateUntil(
                (one) => meshOf(one, scene)?.queued > 0,
                'an envelope in the queue',
            );
            stream.close();
            const everything = JSON.stringify(shown) + stream.raw;
            assert.ok(everything.includes(scene.mesh.slug));
            for (const [name, mark] of Object.entries(kMarks)) {
                assert.ok(!everything.includes(mark), `${name} is shown`);
            }
            for (const secret of [
                kToken,
                context.server.env.BROKER_ADMIN_TOKEN,
                scene.mia.keys.hex,
                scene.ned.keys.hex,
                scene.old.keys.hex,
            ]) {
                assert.ok(!everything.includes(secret), 'a token or a full key is shown');
            }
        });
    },
    kOn,
);

onEachBroker(
    'observer without a token',
    (context) => {
        test('every path says that it is off', async () => {
            for (const path of [kState, kEvents, '/observer', '/observer/']) {
                const response = await fetch(`${context.server.url}${path}`, { headers: kBearer });
                assert.equal(response.status, 404, path);
                assert.match((await response.json()).error, /set BROKER_OBSERVER_TOKEN/);
            }
        });
    },
    { stores: ['sqlite'] },
);
