// The observer: mounted only with a token, live and resumable, and silent about keys and people.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiDescription } from '../../support/openapi.mjs';
import { Device } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { until } from '../../support/server.mjs';
import { kUnlimited, onEachStore } from '../../support/stores.mjs';

const kToken = 'observer-token-of-forty-characters-0123456';
const kBearer = { Authorization: `Bearer ${kToken}` };
const kState = '/shade-observer/api/state';
const kEvents = '/shade-observer/api/events';
const kTicket = '/shade-observer/api/ticket';

const description = ApiDescription.load();
function checkEvent(event) {
    const data = JSON.parse(event.data);
    if (event.event !== 'reset') {
        const validate = description.schemaAt('components', 'schemas', 'ObserverEvent');
        assert.ok(validate(data), `${event.data}: ${description.ajv.errorsText(validate.errors)}`);
        assert.equal(data.type, event.event);
    }
    return data;
}

onEachStore(
    'observer',
    (context) => {
        // Wrong tokens are counted by client address; these come from elsewhere.
        let intruders = 0;
        const intruder = () => {
            intruders += 1;
            return context.api.with({ 'X-Forwarded-For': `203.0.113.${intruders}` });
        };
        const state = async () =>
            expectOutcome(await context.api.request('GET', kState, { headers: kBearer }), 200);
        const watch = (headers = {}) =>
            context.api.stream(kEvents, { headers: { ...kBearer, ...headers } });

        test('the state needs the token: 401 without, 200 with', async () => {
            for (const headers of [
                {},
                { Authorization: 'Bearer wrong' },
                { Authorization: `Basic ${kToken}` },
                { Authorization: kToken },
                { Authorization: `Bearer ${kToken}x` },
                { Authorization: `Bearer ${kToken.slice(0, -1)}` },
            ]) {
                expectError(
                    await intruder().request('GET', kState, { headers }),
                    401,
                    'SHADE_UNAUTHORIZED',
                    JSON.stringify(headers),
                );
            }
            // A query token is for streams only.
            expectError(
                await intruder().request('GET', `${kState}?token=${kToken}`),
                401,
                'SHADE_UNAUTHORIZED',
            );
            const body = await state();
            assert.equal(body.service, 'prekeys');
            assert.equal(body.storage.kind, context.store);
            assert.equal(body.storage.healthy, true);
        });

        test('health and dashboard need no token', async () => {
            expectOutcome(await context.api.request('GET', '/shade-observer/health'), 200);
            const page = await context.api.request('GET', '/shade-observer/dashboard/');
            assert.equal(page.status, 200);
            assert.match(page.headers['content-type'], /^text\/html/);
            const policy = page.headers['content-security-policy'];
            assert.match(policy, /default-src 'none'|default-src 'self'/);
            assert.doesNotMatch(policy, /unsafe-inline|unsafe-eval|https?:/);
            assert.doesNotMatch(page.text, new RegExp(kToken));
            const redirect = await context.api.request('GET', '/shade-observer/dashboard');
            assert.equal(redirect.status, 308);
            assert.doesNotMatch(redirect.headers.location, /^(https?:)?\/\//);
        });

        test('everything the dashboard refers to is served, from this host', async () => {
            const page = await context.api.request('GET', '/shade-observer/dashboard/');
            const references = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(
                ([, target]) => target,
            );
            assert.ok(references.length > 0);
            for (const target of references) {
                assert.doesNotMatch(target, /^(https?:)?\/\//, target);
                const { pathname } = new URL(
                    target,
                    `${context.server.url}/shade-observer/dashboard/`,
                );
                const asset = await context.api.request('GET', pathname);
                assert.equal(asset.status, 200, target);
                const again = await context.api.request('GET', pathname, {
                    headers: { 'If-None-Match': asset.headers.etag },
                });
                assert.equal(again.status, 304, target);
            }
        });

        test('events: one for each thing that happens', async () => {
            const stream = await watch();
            assert.equal(stream.status, 200);
            assert.match(stream.headers['content-type'], /^text\/event-stream/);
            const next = async (name) => {
                const event = await stream.next(({ event: seen }) => seen === name);
                assert.ok(Number(event.id) > 0, 'events have ids');
                return checkEvent(event);
            };
            const device = new Device({ suite: 'pqxdh-ed25519' });
            expectOutcome(await context.api.register(device, { oneTime: 20, kemOneTime: 1 }), 201);
            const registered = await next('registered');
            assert.match(registered.addressHash, /^[0-9a-f]{16}$/);
            assert.equal(registered.address, undefined);
            expectOutcome(await context.api.bundle(device.address), 200);
            const fetched = await next('fetched');
            assert.equal(fetched.addressHash, registered.addressHash, 'one person, one pseudonym');
            assert.equal(fetched.remaining, 19);
            await next('prekeys_low');
            for (let i = 0; i < 19; i += 1) {
                expectOutcome(await context.api.bundle(device.address), 200);
            }
            await next('prekeys_exhausted');
            expectOutcome(
                await context.api.replenish(device, {
                    oneTimePreKeys: device.newOneTimePreKeys(1),
                }),
                200,
            );
            assert.equal((await next('replenished')).count, 1);
            const signedPreKey = device.newSignedPreKey();
            expectOutcome(await context.api.rotateSignedPreKey(device, { signedPreKey }), 200);
            await next('signed_prekey_rotated');
            const thief = new Device({ address: device.address });
            expectError(await context.api.register(thief), 409, 'SHADE_IDENTITY_CONFLICT');
            await next('identity_conflict');
            const json = device.seal({ address: device.address, oneTimePreKeys: [] });
            const replay = () => context.api.request('POST', '/v1/keys/replenish', { json });
            expectOutcome(await replay(), 200);
            expectError(await replay(), 409, 'SHADE_REPLAY');
            await next('replay_rejected');
            const rotation = device.rotation();
            expectOutcome(
                await context.api.write(device, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                    signedAt: rotation.signedAt,
                }),
                200,
            );
            await next('identity_rotated');
            expectOutcome(await context.api.delete(rotation.next), 204);
            await next('deleted');
            stream.events.forEach(checkEvent);
            stream.close();
        });

        test('events say nothing about keys, addresses or the token', async () => {
            const stream = await watch();
            const device = new Device({ suite: 'pqxdh-xeddsa' });
            expectOutcome(await context.api.register(device, { oneTime: 3, kemOneTime: 1 }), 201);
            expectOutcome(await context.api.bundle(device.address), 200);
            expectOutcome(await context.api.delete(device), 204);
            await stream.next(({ event }) => event === 'deleted');
            assert.doesNotMatch(stream.raw, /[A-Za-z0-9+/_-]{43,}/, 'a base64 run of 32 bytes');
            assert.ok(!stream.raw.includes(device.address));
            assert.ok(!stream.raw.includes(device.address.split(':')[0]));
            assert.ok(!stream.raw.includes(kToken));
            assert.doesNotMatch(stream.raw, /127\.0\.0\.1/);
            stream.close();
        });

        test('Last-Event-ID resumes exactly after the event named', async () => {
            const stream = await watch();
            const device = new Device();
            // Enough that nothing is told of a low stock in between.
            expectOutcome(await context.api.register(device, { oneTime: 30 }), 201);
            const first = await stream.next(({ event }) => event === 'registered');
            stream.close();
            for (let i = 0; i < 3; i += 1) {
                expectOutcome(await context.api.bundle(device.address), 200);
            }
            const resumed = await watch({ 'Last-Event-ID': first.id });
            const ids = [];
            for (let i = 0; i < 3; i += 1) {
                const event = await resumed.next(({ event: name }) => name === 'fetched');
                ids.push(Number(event.id));
            }
            assert.deepEqual(
                ids,
                [1, 2, 3].map((n) => Number(first.id) + n),
            );
            assert.equal(resumed.events[0].event, 'fetched', 'nothing before');
            resumed.close();
        });

        test('an id that is no longer known, or of an earlier process, gives a reset first', async () => {
            const before = await watch();
            expectOutcome(await context.api.register(new Device()), 201);
            const { id } = await before.next();
            before.close();
            for (const lost of [String(Number(id) + 1_000_000), 'nonsense']) {
                const stream = await watch({ 'Last-Event-ID': lost });
                const event = await stream.next();
                assert.equal(event.event, 'reset', lost);
                stream.close();
            }
        });

        test('beyond a thousand events the ring forgets, and says so', async () => {
            const start = await watch();
            const device = new Device();
            expectOutcome(await context.api.register(device), 201);
            const { id } = await start.next(({ event }) => event === 'registered');
            start.close();
            for (let i = 0; i < 1_050; i += 50) {
                const claims = Array.from({ length: 50 }, () => ({
                    address: device.address,
                    claimId: Buffer.from(
                        `${i}${Math.random()}`.padEnd(16, 'x').slice(0, 16),
                    ).toString('base64'),
                }));
                expectOutcome(await context.api.claim(claims), 200);
            }
            const stream = await watch({ 'Last-Event-ID': id });
            const event = await stream.next();
            assert.equal(event.event, 'reset');
            stream.close();
        });

        test('a ticket opens one stream, once', async () => {
            expectError(await intruder().request('POST', kTicket), 401, 'SHADE_UNAUTHORIZED');
            const { ticket, expiresInMs } = expectOutcome(
                await context.api.request('POST', kTicket, { headers: kBearer }),
                200,
            );
            assert.ok(expiresInMs <= 30_000);
            const stream = await context.api.stream(`${kEvents}?ticket=${ticket}`);
            assert.equal(stream.status, 200);
            stream.close();
            const again = await intruder().stream(`${kEvents}?ticket=${ticket}`);
            assert.equal(again.status, 401);
        });

        test('the query token opens a stream, and stays out of the log', async () => {
            const stream = await context.api.stream(`${kEvents}?token=${kToken}`);
            assert.equal(stream.status, 200);
            stream.close();
            const wrong = await intruder().stream(`${kEvents}?token=wrong-wrong-wrong-wrong`);
            assert.equal(wrong.status, 401);
            const all = context.server.lines.map(({ text }) => text).join('\n');
            assert.ok(!all.includes(kToken), 'the token is in the log');
        });

        test('the state counts what happened', async () => {
            const before = await state();
            const device = new Device();
            expectOutcome(await context.api.register(device, { oneTime: 2 }), 201);
            for (let i = 0; i < 3; i += 1) {
                expectOutcome(await context.api.bundle(device.address), 200);
            }
            const after = await state();
            const grown = (name) => after.counters[name] - before.counters[name];
            assert.deepEqual(
                ['registered', 'fetched', 'issued', 'exhausted', 'withheld'].map(grown),
                [1, 3, 2, 1, 0],
            );
            assert.ok(after.lastEventId > before.lastEventId);
            assert.equal(after.bootId, before.bootId);
            const { history } = after;
            const lengths = Object.values(history)
                .filter(Array.isArray)
                .map((series) => series.length);
            assert.equal(new Set(lengths).size, 1);
            const recent = history.fetches.slice(-12).reduce((sum, n) => sum + n, 0);
            assert.ok(recent >= 3, 'recent fetches are in the history');
        });

        test('totals and low stock follow the store', async () => {
            const device = new Device({ suite: 'x3dh-xeddsa' });
            expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
            const body = await until(
                async () => {
                    const now = await state();
                    return now.totals.identitiesBySuite['x3dh-xeddsa'] >= 1 && now;
                },
                { what: 'the totals show the new identity', deadlineMs: 60_000 },
            );
            assert.equal(
                body.totals.identities,
                Object.values(body.totals.identitiesBySuite).reduce((sum, n) => sum + n, 0),
            );
            assert.ok(body.totals.belowLowThreshold >= 1);
            assert.ok(body.lowStock.length >= 1);
            assert.ok(body.lowStock.every((entry) => entry.address === undefined));
            assert.doesNotMatch(JSON.stringify(body), /[A-Za-z0-9+/_-]{43,}/);
        });

        test('open streams are counted, and closed ones are not', async () => {
            const clients = async () => (await state()).observerClients;
            const none = async () => (await clients()) === 0;
            await until(none, { what: 'the streams of earlier tests are gone' });
            const streams = [await watch(), await watch()];
            assert.equal(await clients(), 2);
            const metrics = await context.api.metrics();
            assert.equal(metrics.get('shade_observer_clients'), 2);
            streams.forEach((stream) => stream.close());
            await until(none, { what: 'streams are gone' });
        });

        test('an id of an earlier process gives a reset, even when the number exists again', async () => {
            const before = await watch();
            expectOutcome(await context.api.register(new Device()), 201);
            const { id } = await before.next();
            await context.backend.restart();
            const device = new Device();
            expectOutcome(await context.api.register(device), 201);
            const { lastEventId } = await state();
            for (let i = lastEventId; i < Number(id) + 3; i += 1) {
                expectOutcome(await context.api.bundle(device.address), 200);
            }
            const stream = await watch({ 'Last-Event-ID': id });
            const event = await stream.next();
            assert.equal(event.event, 'reset', 'these are not the events the reader missed');
            stream.close();
        });

        test('a stream ends when the server stops', async () => {
            const stream = await watch();
            await context.backend.restart();
            await stream.ended();
            const boot = await state();
            assert.equal(boot.counters.registered, 0, 'counters start with the process');
        });
    },
    {
        env: {
            ...kUnlimited,
            SHADE_OBSERVER_TOKEN: kToken,
            SHADE_TRUSTED_PROXIES: '127.0.0.1/32',
        },
    },
);

onEachStore(
    'observer attacked',
    (context) => {
        test('ten wrong tokens a minute from one address, then 429, for others nothing changes', async () => {
            const api = context.api.with({ 'X-Forwarded-For': '203.0.113.9' });
            const start = Date.now();
            let guesses = 0;
            await until(async () => {
                const wrong = await api.request('GET', kState, {
                    headers: { Authorization: `Bearer guess-number-${guesses}-0123456789` },
                });
                if (wrong.status === 401) {
                    expectError(wrong, 401, 'SHADE_UNAUTHORIZED');
                    guesses += 1;
                    return false;
                }
                expectError(wrong, 429, 'SHADE_RATE_LIMITED');
                // A right guess among many wrong ones is not confirmed either.
                const right = await api.request('GET', kState, { headers: kBearer });
                return right.outcome === '429 SHADE_RATE_LIMITED';
            });
            // One more is allowed every six seconds.
            const most = 11 + (Date.now() - start) / 6_000;
            assert.ok(guesses >= 10 && guesses <= most, `${guesses} were let through`);
            const other = context.api.with({ 'X-Forwarded-For': '203.0.113.10' });
            expectOutcome(await other.request('GET', kState, { headers: kBearer }), 200);
        });
    },
    {
        stores: ['sqlite'],
        env: { SHADE_OBSERVER_TOKEN: kToken, SHADE_TRUSTED_PROXIES: '127.0.0.1/32' },
    },
);

onEachStore(
    'observer with addresses',
    (context) => {
        test('shows them when the operator asked for it', async () => {
            const stream = await context.api.stream(kEvents, { headers: kBearer });
            const device = new Device();
            expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
            const event = await stream.next(({ event: name }) => name === 'registered');
            assert.equal(checkEvent(event).address, device.address);
            stream.close();
        });
    },
    {
        stores: ['sqlite'],
        env: { ...kUnlimited, SHADE_OBSERVER_TOKEN: kToken, SHADE_OBSERVER_SHOW_ADDRESSES: '1' },
    },
);

onEachStore(
    'no observer',
    (context) => {
        test('without a token nothing is mounted', async () => {
            for (const [method, path] of [
                ['GET', '/shade-observer/health'],
                ['GET', kState],
                ['GET', kEvents],
                ['POST', kTicket],
                ['GET', '/shade-observer/dashboard/'],
                ['GET', '/shade-observer/dashboard'],
            ]) {
                expectError(
                    await context.api.request(method, path, { headers: kBearer }),
                    404,
                    'SHADE_NOT_FOUND',
                    path,
                );
            }
        });
    },
    { stores: ['sqlite'] },
);
