// Limits: by client address and identity they refuse, by target and requester they only degrade.
// Clients of many addresses come through a trusted proxy, which is this test.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { b64, Device, hasKem } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kProxy = { SHADE_TRUSTED_PROXIES: '127.0.0.1/32' };

let nextClient = 0;
// An IPv4 address nobody used before.
const freshIp = () => {
    nextClient += 1;
    return `198.${18 + (nextClient >> 16)}.${(nextClient >> 8) & 255}.${nextClient & 255}`;
};
const from = (api, ip = freshIp()) => api.with({ 'X-Forwarded-For': ip });
const claimId = () => b64(crypto.randomBytes(16));

const registered = async (api, options = {}, stock = { oneTime: 50 }) => {
    const device = new Device(options);
    expectOutcome(await from(api).register(device, stock), 201);
    return device;
};
const statusesOf = (bundles) => {
    const seen = { issued: 0, withheld: 0, exhausted: 0 };
    bundles.forEach(({ oneTimeStatus }) => {
        seen[oneTimeStatus] += 1;
    });
    return seen;
};

function expectLimited(response) {
    const error = expectError(response, 429, 'SHADE_RATE_LIMITED');
    const seconds = Number(response.headers['retry-after']);
    assert.ok(Number.isInteger(seconds) && seconds >= 1, `Retry-After: ${seconds}`);
    assert.ok(error.retryAfterMs > 0);
    assert.ok(Math.abs(seconds * 1000 - error.retryAfterMs) <= 1000, 'header and body agree');
    return seconds;
}

onEachStore(
    'limits by client address',
    (context) => {
        // A hundred requests at once under these addresses are limited as one client.
        // How many of a bucket of sixty may be let through since `start`: one comes back a second.
        const most = (start) => 61 + (Date.now() - start) / 1_000;
        const expectOneClient = async (target, addressOf) => {
            const start = Date.now();
            const answers = await Promise.all(
                Array.from({ length: 100 }, (_, i) =>
                    from(context.api, addressOf(i)).identityOf(target.address),
                ),
            );
            const served = answers.filter(({ status }) => status === 200).length;
            assert.ok(served >= 60 && served <= most(start), `${served} of 100 were served`);
            answers.filter(({ status }) => status !== 200).forEach(expectLimited);
        };

        test('five registrations an hour', async () => {
            const ip = freshIp();
            for (let i = 0; i < 5; i += 1) {
                expectOutcome(await from(context.api, ip).register(new Device()), 201);
            }
            const seconds = expectLimited(await from(context.api, ip).register(new Device()));
            assert.ok(
                seconds > 600 && seconds <= 720,
                `one token takes twelve minutes: ${seconds}`,
            );
            expectOutcome(await from(context.api).register(new Device()), 201);
        });

        test('sixty fetches a minute, whatever is fetched', async () => {
            const target = await registered(context.api);
            const api = from(context.api);
            const kinds = [
                () => api.bundle(target.address),
                () => api.identityOf(target.address),
                () => api.checkDigest(target.address, target.digest()),
                () => api.request('HEAD', `/v1/keys/bundle/${target.address}`),
            ];
            const claims = (count) =>
                Array.from({ length: count }, () => ({
                    address: target.address,
                    claimId: claimId(),
                }));
            const start = Date.now();
            expectOutcome(await api.claim(claims(50)), 200);
            let done = 50;
            let refusal;
            while (!refusal) {
                const response = await kinds[done % kinds.length]();
                if (response.status === 429) {
                    refusal = response;
                } else {
                    assert.equal(response.status, 200);
                    done += 1;
                    assert.ok(done <= most(start), `${done} fetches were served`);
                }
            }
            assert.ok(done >= 60, `only ${done} fetches were served`);
            assert.ok(Number(refusal.headers['retry-after']) <= 2);
            if (refusal.bytes.length > 0) {
                expectLimited(refusal);
            }
            expectLimited(await api.claim(claims(50)));
            expectOutcome(await from(context.api).bundle(target.address), 200);
        });

        test('unknown addresses count as well, so that nobody can list addresses quickly', async () => {
            const api = from(context.api);
            const start = Date.now();
            const guesses = await Promise.all(
                Array.from({ length: 100 }, (_, i) => api.bundle(`guess-${i}:1`)),
            );
            const answered = guesses.filter(({ status }) => status === 404);
            assert.ok(
                answered.length >= 60 && answered.length <= most(start),
                `${answered.length} answered`,
            );
            guesses.filter(({ status }) => status !== 404).forEach(expectLimited);
        });

        test('an IPv6 /64 is one client', async () => {
            const target = await registered(context.api);
            await expectOneClient(target, (i) => `2001:db8:7:1::${(i + 1).toString(16)}`);
            expectOutcome(
                await from(context.api, '2001:db8:7:2::1').identityOf(target.address),
                200,
            );
        });

        test('an IPv4 address and its IPv6 mapping are one client', async () => {
            const target = await registered(context.api);
            const ip = freshIp();
            await expectOneClient(target, (i) => (i % 2 === 0 ? ip : `::ffff:${ip}`));
        });

        test('only the entry the trusted proxy added is believed', async () => {
            const target = await registered(context.api);
            const ip = freshIp();
            // The client invents what stands to the left of its own address.
            await expectOneClient(target, () => `${freshIp()}, ${ip}`);
        });

        test('failed signatures of one client are limited, others go on', async () => {
            const target = await registered(context.api);
            const stranger = new Device({ address: target.address });
            const api = from(context.api);
            let refused = 0;
            for (let i = 0; i < 600 && refused === 0; i += 1) {
                const response = await api.count(stranger);
                if (response.status === 429) {
                    expectLimited(response);
                    refused += 1;
                } else {
                    expectError(response, 401, 'SHADE_BAD_REQUEST_SIGNATURE');
                }
            }
            assert.equal(refused, 1, 'signature checks cost time; somebody must stop this');
            expectOutcome(await from(context.api).count(target), 200);
        });
    },
    { env: kProxy },
);

onEachStore(
    'limits by identity',
    (context) => {
        // Ten pass at once, and one more every six seconds.
        const expectTenAMinute = async (request) => {
            const start = Date.now();
            let passed = 0;
            let answer = await request();
            for (; answer.status === 200 && passed < 100; passed += 1) {
                answer = await request();
            }
            const most = 11 + (Date.now() - start) / 6_000;
            assert.ok(passed >= 10 && passed <= most, `${passed} passed`);
            assert.ok(expectLimited(answer) <= 6);
        };

        test('ten replenishments a minute, from wherever they come', async () => {
            const device = await registered(context.api);
            await expectTenAMinute(() => from(context.api).replenish(device, {}));
            const other = await registered(context.api);
            expectOutcome(await from(context.api).replenish(other, {}), 200);
        });

        test('a stranger cannot use up the budget of an owner', async () => {
            const device = await registered(context.api);
            const stranger = new Device({ address: device.address });
            for (let i = 0; i < 15; i += 1) {
                const api = from(context.api);
                expectError(await api.replenish(stranger, {}), 401, 'SHADE_BAD_REQUEST_SIGNATURE');
            }
            expectOutcome(await from(context.api).replenish(device, {}), 200);
        });

        test('uploads that cannot be read are limited before they are read', async () => {
            const device = await registered(context.api);
            const api = from(context.api);
            const junk = (api_, size = 10) =>
                api_.request('POST', '/v1/keys/register', {
                    body: `{"a":[${Array(size).fill('1').join(',')}]}`,
                    contentType: 'application/json',
                });
            // One try a second comes back meanwhile.
            let answer = await junk(api);
            let tries = 1;
            for (; answer.status !== 429 && tries < 600; tries += 1) {
                expectError(answer, 400, 'SHADE_VALIDATION');
                answer = await junk(api, tries % 2 === 0 ? 10 : 100_000);
            }
            assert.ok(tries > 60, `limited after ${tries}`);
            expectLimited(answer);
            const outcomes = await Promise.all(
                Array.from({ length: 10 }, () => api.replenish(device, {})),
            );
            assert.ok(outcomes.filter(({ status }) => status === 429).length >= 5);
            expectError(await junk(from(context.api)), 400, 'SHADE_VALIDATION');
        });

        test('rotations count as replenishments', async () => {
            const device = await registered(context.api);
            await expectTenAMinute(() =>
                from(context.api).rotateSignedPreKey(device, {
                    signedPreKey: device.newSignedPreKey(),
                }),
            );
        });
    },
    { env: kProxy },
);

onEachStore(
    'degrade, never deny',
    (context) => {
        test('one requester gets six one-time keys of a target, then bundles without', async () => {
            const target = await registered(
                context.api,
                { suite: 'pqxdh-ed25519' },
                { oneTime: 50, kemOneTime: 20 },
            );
            const api = from(context.api);
            const bundles = [];
            for (let i = 0; i < 9; i += 1) {
                bundles.push(expectOutcome(await api.bundle(target.address), 200));
            }
            assert.deepEqual(statusesOf(bundles), { issued: 6, withheld: 3, exhausted: 0 });
            bundles.slice(6).forEach((bundle) => {
                assert.equal(bundle.kemPreKey.lastResort, true);
                assert.equal(bundle.oneTimePreKey, null);
            });
            // Somebody else is not affected.
            const other = expectOutcome(await from(context.api).bundle(target.address), 200);
            assert.equal(other.oneTimeStatus, 'issued');
        });

        test('repeating a claim costs nothing of the budget', async () => {
            const target = await registered(context.api);
            const api = from(context.api);
            const claims = [{ address: target.address, claimId: claimId() }];
            for (let i = 0; i < 10; i += 1) {
                const { results } = expectOutcome(await api.claim(claims), 200);
                assert.equal(results[0].bundle.oneTimeStatus, 'issued');
            }
            const bundles = [];
            for (let i = 0; i < 6; i += 1) {
                bundles.push(expectOutcome(await api.bundle(target.address), 200));
            }
            assert.deepEqual(statusesOf(bundles), { issued: 5, withheld: 1, exhausted: 0 });
        });

        test('all strangers together get twenty one-time keys of a target at once', async () => {
            const target = await registered(context.api);
            const bundles = [];
            for (let i = 0; i < 25; i += 1) {
                bundles.push(expectOutcome(await from(context.api).bundle(target.address), 200));
            }
            const { issued, withheld } = statusesOf(bundles);
            assert.ok(issued >= 20 && issued <= 21, `issued ${issued}`);
            assert.equal(issued + withheld, 25);
            const other = await registered(context.api);
            const bundle = expectOutcome(await from(context.api).bundle(other.address), 200);
            assert.equal(bundle.oneTimeStatus, 'issued', 'targets are counted apart');
        });

        test('the budget limits are counted and the suspicion is raised', async () => {
            const metrics = await context.api.metrics();
            assert.ok(metrics.get('shade_depletion_suspected_total') >= 1);
            assert.ok(metrics.get('shade_rate_limited_total{limit="target"}') >= 1, 'target');
            assert.ok(metrics.get('shade_rate_limited_total{limit="pair"}') >= 1, 'pair');
        });

        test('the last fifth of the stock is for identified requesters', async () => {
            const target = await registered(
                context.api,
                { suite: 'pqxdh-ed25519' },
                { oneTime: 10, kemOneTime: 10 },
            );
            const anonymous = [];
            for (let i = 0; i < 10; i += 1) {
                anonymous.push(expectOutcome(await from(context.api).bundle(target.address), 200));
            }
            assert.deepEqual(statusesOf(anonymous), { issued: 8, withheld: 2, exhausted: 0 });
            assert.ok(anonymous.slice(8).every((bundle) => bundle.kemPreKey.lastResort));
            const friend = await registered(context.api, {}, {});
            const api = from(context.api);
            for (let i = 0; i < 2; i += 1) {
                const bundle = expectOutcome(await api.bundleAs(friend, target.address), 200);
                assert.equal(bundle.oneTimeStatus, 'issued');
                assert.equal(bundle.kemPreKey.lastResort, false);
            }
            const last = expectOutcome(await api.bundleAs(friend, target.address), 200);
            assert.equal(last.oneTimeStatus, 'exhausted');
        });

        test('the reserve is the floor of a fifth of the stock after the last upload', async () => {
            const target = await registered(context.api, {}, { oneTime: 4 });
            for (let i = 0; i < 4; i += 1) {
                const bundle = expectOutcome(await from(context.api).bundle(target.address), 200);
                assert.equal(bundle.oneTimeStatus, 'issued', 'a fifth of four is none');
            }
            expectOutcome(
                await from(context.api).replenish(target, {
                    oneTimePreKeys: target.newOneTimePreKeys(5, 800),
                }),
                200,
            );
            const bundles = [];
            for (let i = 0; i < 5; i += 1) {
                bundles.push(expectOutcome(await from(context.api).bundle(target.address), 200));
            }
            assert.deepEqual(statusesOf(bundles), { issued: 4, withheld: 1, exhausted: 0 });
        });

        test('a requester counts as itself, not as its address', async () => {
            const target = await registered(context.api);
            const friend = await registered(context.api, {}, {});
            const bundles = [];
            for (let i = 0; i < 8; i += 1) {
                // Every time from another place.
                const api = from(context.api);
                bundles.push(expectOutcome(await api.bundleAs(friend, target.address), 200));
            }
            assert.deepEqual(statusesOf(bundles), { issued: 6, withheld: 2, exhausted: 0 });
        });

        test('drain attack: thousands of strangers, everybody is served, a friend gets a key', async () => {
            const target = await registered(
                context.api,
                { suite: 'pqxdh-ed25519' },
                { oneTime: 100, kemOneTime: 40 },
            );
            const friend = await registered(context.api, {}, {});
            const bundles = [];
            let left = 3_000;
            const attacker = async () => {
                while (left > 0) {
                    left -= 1;
                    const response = await from(context.api).bundle(target.address);
                    bundles.push(expectOutcome(response, 200));
                }
            };
            await Promise.all(Array.from({ length: 32 }, attacker));
            const { issued, withheld, exhausted } = statusesOf(bundles);
            assert.equal(issued + withheld, 3_000);
            assert.equal(exhausted, 0);
            assert.ok(issued >= 20 && issued <= 30, `the attack cost ${issued} keys`);
            assert.ok(bundles.every((bundle) => bundle.kemPreKey));
            const bundle = expectOutcome(
                await from(context.api).bundleAs(friend, target.address),
                200,
            );
            assert.equal(bundle.oneTimeStatus, 'issued');
            assert.equal(hasKem(bundle.suite) && bundle.kemPreKey.lastResort, false);
            const count = expectOutcome(await from(context.api).count(target), 200);
            assert.ok(count.oneTimePreKeyCount >= 69, `left: ${count.oneTimePreKeyCount}`);
        });
    },
    { env: kProxy },
);

onEachStore(
    'without a trusted proxy',
    (context) => {
        test('X-Forwarded-For is worth nothing', async () => {
            for (let i = 0; i < 5; i += 1) {
                expectOutcome(await from(context.api).register(new Device()), 201);
            }
            expectLimited(await from(context.api).register(new Device()));
        });
    },
    { stores: ['sqlite'], env: {} },
);

onEachStore(
    'limit settings',
    (context) => {
        test('are what the variables say', async () => {
            const target = await registered(context.api, {}, { oneTime: 20 });
            const api = from(context.api);
            const bundles = [];
            for (let i = 0; i < 5; i += 1) {
                bundles.push(expectOutcome(await api.bundle(target.address), 200));
            }
            // Two per requester; the reserve is half of twenty.
            assert.deepEqual(statusesOf(bundles), { issued: 2, withheld: 3, exhausted: 0 });
            expectLimited(await api.bundle(target.address));
            const rest = [];
            for (let i = 0; i < 4; i += 1) {
                rest.push(expectOutcome(await from(context.api).bundle(target.address), 200));
            }
            assert.deepEqual(statusesOf(rest), { issued: 2, withheld: 2, exhausted: 0 });
            const ip = freshIp();
            expectOutcome(await from(context.api, ip).register(new Device()), 201);
            expectLimited(await from(context.api, ip).register(new Device()));
            expectOutcome(await from(context.api).replenish(target, {}), 200);
            expectLimited(await from(context.api).replenish(target, {}));
        });

        test('a claim for more targets than the bucket holds costs a whole bucket', async () => {
            const target = await registered(context.api, {}, { oneTime: 2 });
            const claims = Array.from({ length: 6 }, () => ({
                address: target.address,
                claimId: claimId(),
            }));
            const api = from(context.api);
            expectOutcome(await api.claim(claims), 200);
            expectLimited(await api.identityOf(target.address));
            expectLimited(await api.claim(claims));
        });
    },
    {
        stores: ['sqlite'],
        env: {
            ...kProxy,
            SHADE_LIMIT_REGISTER: '1/h',
            SHADE_LIMIT_FETCH: '5/h',
            SHADE_LIMIT_TARGET: '4/h',
            SHADE_LIMIT_PAIR: '2/h',
            SHADE_LIMIT_REPLENISH: '1/h',
            SHADE_RESERVE_PERCENT: '50',
        },
    },
);

onEachStore(
    'limits off',
    (context) => {
        test('no bucket refuses or withholds, and the log warns', async () => {
            const target = await registered(context.api, {}, { oneTime: 100 });
            for (let i = 0; i < 10; i += 1) {
                expectOutcome(await context.api.register(new Device()), 201);
                expectOutcome(await context.api.replenish(target, {}), 200);
            }
            const bundles = [];
            for (let i = 0; i < 90; i += 1) {
                bundles.push(expectOutcome(await context.api.bundle(target.address), 200));
            }
            // The reserve stays.
            assert.deepEqual(statusesOf(bundles), { issued: 80, withheld: 10, exhausted: 0 });
            const warning = context.server.log.find(
                ({ json }) => json?.level === 'warn' && /rate limit/i.test(json.msg),
            );
            assert.ok(warning, 'a server without limits says so');
        });
    },
    { stores: ['sqlite'], env: { SHADE_DISABLE_RATE_LIMIT: '1' } },
);
