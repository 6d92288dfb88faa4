// How requests are signed, and everything an attacker can do to a signed request.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { Api, b64, b64url, Device, kSuites, unb64 } from '../../support/client.mjs';
import { expectError, expectField, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kSkewMs = 300_000;
const kRegister = '/v1/keys/register';
const kReplenish = '/v1/keys/replenish';

const limitsOff = { SHADE_DISABLE_RATE_LIMIT: '1', SHADE_RESERVE_PERCENT: '0' };

onEachStore('authentication', (context) => {
    const registered = async (options = {}) => {
        const device = new Device(options);
        expectOutcome(await context.api.register(device, { oneTime: 1 }), 201);
        return device;
    };
    const countPath = (device) => `/v1/keys/count/${device.address}`;
    const count = (device, sign = {}, headers = {}) =>
        context.api.signed(device, 'GET', countPath(device), { sign, headers });

    test('unsigned writes are refused', async () => {
        const device = new Device();
        expectError(
            await context.api.request('POST', kRegister, { json: device.registration() }),
            401,
            'SHADE_UNAUTHORIZED',
        );
        const known = await registered();
        for (const [method, path, json] of [
            ['POST', kReplenish, { address: known.address }],
            [
                'PUT',
                '/v1/keys/signed-prekey',
                { address: known.address, signedPreKey: known.signedPreKey },
            ],
            ['GET', countPath(known)],
            ['GET', '/v1/keys/events'],
            ['DELETE', `/v1/keys/${known.address}`],
        ]) {
            expectError(
                await context.api.request(method, path, { json }),
                401,
                'SHADE_UNAUTHORIZED',
                `${method} ${path}`,
            );
        }
    });

    for (const suite of kSuites) {
        test(`${suite}: every part of a scheme B request is bound`, async () => {
            const [device, other] = [await registered({ suite }), await registered({ suite })];
            const body = { address: device.address, oneTimePreKeys: [] };
            const bytes = Buffer.from(JSON.stringify(body));
            const send = (sign, headers) =>
                context.api.signed(device, 'POST', kReplenish, { body: bytes, sign, headers });
            for (const [what, sign] of Object.entries({
                method: { method: 'PUT' },
                path: { target: '/v1/keys/register' },
                query: { target: `${kReplenish}?a=1` },
                body: { bodyBytes: Buffer.from('{}') },
                key: { signer: other.identity },
                audience: { audience: 'somewhere.else' },
            })) {
                expectError(await send(sign), 401, 'SHADE_BAD_REQUEST_SIGNATURE', what);
            }
            const honest = device.requestHeaders('POST', kReplenish, bytes);
            const post = (headers) =>
                context.api.request('POST', kReplenish, {
                    body: bytes,
                    contentType: 'application/json',
                    headers,
                });
            for (const [what, change] of Object.entries({
                nonce: { 'Shade-Nonce': b64url(crypto.randomBytes(16)) },
                timestamp: { 'Shade-Timestamp': String(Number(honest['Shade-Timestamp']) + 1) },
                signature: { 'Shade-Signature': b64(crypto.randomBytes(64)) },
            })) {
                expectError(
                    await post({ ...honest, ...change }),
                    401,
                    'SHADE_BAD_REQUEST_SIGNATURE',
                    what,
                );
            }
            expectOutcome(await post(honest), 200);
        });

        test(`${suite}: every member of a scheme A body is bound`, async () => {
            const device = await registered({ suite });
            const sealed = device.seal({
                address: device.address,
                oneTimePreKeys: device.newOneTimePreKeys(2),
            });
            const send = (json) => context.api.request('POST', kReplenish, { json });
            for (const change of [
                { signedAt: sealed.signedAt + 1 },
                { oneTimePreKeys: sealed.oneTimePreKeys.slice(1) },
                { oneTimePreKeys: [...sealed.oneTimePreKeys].reverse() },
                { extra: null },
            ]) {
                expectError(
                    await send({ ...sealed, ...change }),
                    401,
                    'SHADE_BAD_REQUEST_SIGNATURE',
                    JSON.stringify(change),
                );
            }
            expectOutcome(await send(sealed), 200);
        });
    }

    test('skew: within five minutes either way, beyond it 401 with the server time', async () => {
        const device = await registered();
        for (const offset of [-kSkewMs + 60_000, kSkewMs - 1_000]) {
            expectOutcome(await count(device, { timestamp: Date.now() + offset }), 200);
        }
        for (const offset of [-kSkewMs - 5_000, kSkewMs + 60_000, -86_400_000, 86_400_000]) {
            const before = Date.now();
            const error = expectError(
                await count(device, { timestamp: Date.now() + offset }),
                401,
                'SHADE_TIMESTAMP_SKEW',
            );
            const { serverTime } = error.details;
            assert.ok(serverTime >= before - 2_000 && serverTime <= Date.now() + 2_000);
        }
        const late = device.seal(
            { address: device.address, oneTimePreKeys: [] },
            { signedAt: Date.now() - kSkewMs - 5_000 },
        );
        expectError(
            await context.api.request('POST', kReplenish, { json: late }),
            401,
            'SHADE_TIMESTAMP_SKEW',
        );
        const fresh = new Device();
        expectError(
            await context.api.register(fresh, { signedAt: Date.now() + kSkewMs + 60_000 }),
            401,
            'SHADE_TIMESTAMP_SKEW',
        );
    });

    test('a client with a wrong clock can correct itself', async () => {
        const device = new Device();
        const skewed = Date.now() - 7_200_000;
        const error = expectError(
            await context.api.register(device, { signedAt: skewed }),
            401,
            'SHADE_TIMESTAMP_SKEW',
        );
        const offset = error.details.serverTime - skewed;
        const body = device.registration();
        expectOutcome(
            await context.api.write(device, 'POST', kRegister, body, { signedAt: skewed + offset }),
            201,
        );
    });

    test('replay, scheme B: on the same path, and across a restart', async () => {
        const device = await registered();
        const headers = device.requestHeaders('GET', countPath(device));
        const send = () => context.api.request('GET', countPath(device), { headers });
        expectOutcome(await send(), 200);
        expectError(await send(), 409, 'SHADE_REPLAY');
        await context.backend.restart();
        expectError(await send(), 409, 'SHADE_REPLAY');
    });

    test('replay, scheme A: on the same path, and across a restart', async () => {
        const device = await registered();
        const json = device.seal({ address: device.address, oneTimePreKeys: [] });
        const send = (path = kReplenish) => context.api.request('POST', path, { json });
        expectOutcome(await send(), 200);
        expectError(await send(), 409, 'SHADE_REPLAY');
        await context.backend.restart();
        expectError(await send(), 409, 'SHADE_REPLAY');
        expectOutcome(await context.api.identityOf(device.address), 200);
    });

    test('scheme A: a body is good for one route only', async () => {
        const device = await registered({ suite: 'x3dh-ed25519' });
        const { address } = device;
        const next = device.rotation().body;
        const routes = {
            register: ['POST', kRegister, device.registration()],
            replenish: ['POST', kReplenish, { address, oneTimePreKeys: [] }],
            signedPreKey: [
                'PUT',
                '/v1/keys/signed-prekey',
                { address, signedPreKey: device.newSignedPreKey() },
            ],
            rotateIdentity: ['POST', '/v1/keys/rotate-identity', next],
            delete: ['DELETE', `/v1/keys/${address}`, { address }],
        };
        for (const [made, [, , body]] of Object.entries(routes)) {
            for (const [used, [method, path]] of Object.entries(routes)) {
                if (made !== used) {
                    const response = await context.api.write(device, method, path, body);
                    expectError(response, 400, 'SHADE_VALIDATION', `${made} sent to ${used}`);
                }
            }
        }
        // What marks another request is refused even beside everything a route needs.
        const both = { ...routes.register[2], ...next };
        expectField(await context.api.write(device, 'POST', kRegister, both), 'newIdentity');
        expectOutcome(await context.api.identityOf(address), 200);
        expectOutcome(await context.api.write(device, ...routes.replenish), 200);
    });

    test('replay in other clothes: base64, white space, member order', async () => {
        const device = await registered();
        const sealed = device.seal({ address: device.address, oneTimePreKeys: [] });
        const send = (text) =>
            context.api.request('POST', kReplenish, {
                body: text,
                contentType: 'application/json',
            });
        expectOutcome(await send(JSON.stringify(sealed)), 200);
        const loose = { ...sealed, signature: unb64(sealed.signature).toString('base64url') };
        expectError(await send(JSON.stringify(loose)), 409, 'SHADE_REPLAY');
        expectError(await send(JSON.stringify(sealed, null, 2)), 409, 'SHADE_REPLAY');
        const reversed = Object.fromEntries(Object.entries(sealed).reverse());
        expectError(await send(JSON.stringify(reversed)), 409, 'SHADE_REPLAY');
    });

    test('replay of a registration, and its rollback', async () => {
        const device = new Device();
        const early = device.now() - 120_000;
        const old = device.seal(device.registration(), { signedAt: early });
        expectOutcome(await context.api.request('POST', kRegister, { json: old }), 201);
        expectError(
            await context.api.request('POST', kRegister, { json: old }),
            409,
            'SHADE_REPLAY',
        );
        const first = device.signedPreKey;
        device.newSignedPreKey();
        expectOutcome(await context.api.register(device, { signedAt: early + 60_000 }), 200);
        // A registration signed in between, held back by an attacker until now.
        const held = { ...device.registration(), signedPreKey: first };
        expectError(
            await context.api.write(device, 'POST', kRegister, held, { signedAt: early + 30_000 }),
            409,
            'SHADE_STALE_WRITE',
        );
        expectError(
            await context.api.write(device, 'POST', kRegister, held, { signedAt: early + 60_000 }),
            409,
            'SHADE_STALE_WRITE',
        );
        const identity = expectOutcome(await context.api.identityOf(device.address), 200);
        assert.equal(identity.signedPreKey.keyId, device.signedPreKey.keyId);
    });

    test('sixteen copies of one signed request at once: one is accepted', async () => {
        const device = await registered();
        const json = device.seal({
            address: device.address,
            oneTimePreKeys: device.newOneTimePreKeys(1),
        });
        const answers = await Promise.all(
            Array.from({ length: 16 }, () => context.api.request('POST', kReplenish, { json })),
        );
        const accepted = answers.filter(({ status }) => status === 200);
        assert.equal(accepted.length, 1);
        answers
            .filter(({ status }) => status !== 200)
            .forEach((answer) => expectError(answer, 409, 'SHADE_REPLAY'));
    });

    test('a nonce is good once per address', async () => {
        const [a, b] = [await registered(), await registered()];
        const nonce = b64url(crypto.randomBytes(16));
        expectOutcome(await count(a, { nonce }), 200);
        expectError(await count(a, { nonce }), 409, 'SHADE_REPLAY');
        expectOutcome(await count(b, { nonce }), 200);
    });

    test('a refused request may be corrected and sent again', async () => {
        const device = await registered();
        // Refused for its content: the signature of this request is not used up.
        const body = { address: device.address, oneTimePreKeys: 'not a list' };
        expectField(await context.api.write(device, 'POST', kReplenish, body), 'oneTimePreKeys');
        expectOutcome(await context.api.replenish(device, { oneTimePreKeys: [] }), 200);
    });

    test('the query is signed, sorted by key', async () => {
        const device = await registered();
        const target = `${countPath(device)}?b=2&a=1&b=1&c=%20x`;
        expectOutcome(await context.api.signed(device, 'GET', target), 200);
        expectError(
            await context.api.signed(device, 'GET', `${countPath(device)}?a=2`, {
                sign: { target: `${countPath(device)}?a=1` },
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
    });

    test('the path is signed as it is sent', async () => {
        const device = await registered();
        const encoded = `/v1/keys/count/${device.address.replace(':', '%3A')}`;
        expectOutcome(await context.api.signed(device, 'GET', encoded), 200);
        expectError(
            await context.api.signed(device, 'GET', encoded, {
                sign: { target: countPath(device) },
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
    });

    test('scheme B counts when both are there', async () => {
        const device = await registered();
        const stranger = new Device();
        // A valid body signature does not help a wrong header signature...
        const sealed = Buffer.from(JSON.stringify(device.seal({ address: device.address })));
        expectError(
            await context.api.signed(device, 'POST', kReplenish, {
                body: sealed,
                sign: { signer: stranger.identity },
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
        // ... and an invalid one in the body does not hurt.
        const broken = { ...JSON.parse(sealed), signature: b64(Buffer.alloc(64)) };
        expectOutcome(await context.api.signed(device, 'POST', kReplenish, { json: broken }), 200);
    });

    test('scheme B by another registered address', async () => {
        const [device, other] = [await registered(), await registered()];
        expectError(
            await context.api.signed(other, 'POST', kReplenish, {
                json: { address: device.address },
            }),
            403,
            'SHADE_FORBIDDEN',
        );
        expectError(
            await context.api.signed(other, 'GET', countPath(device)),
            403,
            'SHADE_FORBIDDEN',
        );
        expectError(
            await context.api.signed(other, 'POST', kRegister, { json: device.registration() }),
            403,
            'SHADE_FORBIDDEN',
        );
    });

    test('scheme A by another identity', async () => {
        const [device, other] = [await registered(), await registered()];
        expectError(
            await context.api.write(other, 'POST', kReplenish, {
                address: device.address,
                oneTimePreKeys: [],
            }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
    });

    test('an identity of another suite cannot sign', async () => {
        const device = await registered({ suite: 'x3dh-ed25519' });
        const other = new Device({ suite: 'x3dh-xeddsa', address: device.address });
        expectError(await count(other), 401, 'SHADE_BAD_REQUEST_SIGNATURE');
    });

    test('malformed headers are named', async () => {
        const device = await registered();
        const good = () => device.requestHeaders('GET', countPath(device));
        const send = (headers) => context.api.request('GET', countPath(device), { headers });
        const bad = {
            'Shade-Timestamp': ['', 'now', '-1', '1e12', '99999999999999999999', ' 1 2'],
            'Shade-Nonce': [
                '',
                '!!',
                b64url(crypto.randomBytes(15)),
                b64url(crypto.randomBytes(17)),
            ],
            'Shade-Signature': ['', '!!', b64(crypto.randomBytes(63)), b64(crypto.randomBytes(65))],
        };
        for (const [name, values] of Object.entries(bad)) {
            for (const value of values) {
                expectField(await send({ ...good(), [name]: value }), name);
            }
        }
        for (const name of ['Shade-Address', 'Shade-Timestamp', 'Shade-Nonce']) {
            const { [name]: left, ...headers } = good();
            expectField(await send(headers), name);
        }
        expectError(
            await send({ ...good(), 'Shade-Address': 'no such/address' }),
            400,
            'SHADE_BAD_ADDRESS',
        );
    });

    test('a security header given twice is refused', async () => {
        const device = await registered();
        for (const name of ['Shade-Address', 'Shade-Timestamp', 'Shade-Nonce', 'Shade-Signature']) {
            const headers = device.requestHeaders('GET', countPath(device));
            headers[name] = [headers[name], headers[name]];
            expectField(await context.api.request('GET', countPath(device), { headers }), name);
        }
    });

    test('the nonce may come in standard base64', async () => {
        const device = await registered();
        expectOutcome(await count(device, { nonce: b64(crypto.randomBytes(16)) }), 200);
    });

    test('scheme A needs both of its members', async () => {
        const device = await registered();
        const sealed = device.seal({ address: device.address });
        const send = (json) => context.api.request('POST', kReplenish, { json });
        const { signedAt, ...withoutTime } = sealed;
        expectField(await send(withoutTime), 'signedAt');
        const { signature, ...withoutSignature } = sealed;
        expectError(await send(withoutSignature), 401, 'SHADE_UNAUTHORIZED');
        for (const bad of ['', 'x', b64(Buffer.alloc(63)), 12, {}]) {
            expectField(await send({ ...sealed, signature: bad }), 'signature');
        }
        for (const bad of ['now', -1, null]) {
            expectField(await send({ ...sealed, signedAt: bad }), 'signedAt');
        }
    });

    test('a signature with a malleated S is refused', async () => {
        const device = await registered();
        const headers = device.requestHeaders('GET', countPath(device));
        const signature = unb64(headers['Shade-Signature']);
        // S + L: the same equation, another encoding.
        const order = (1n << 252n) + 27742317777372353535851937790883648493n;
        const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`);
        Buffer.from((s + order).toString(16).padStart(64, '0'), 'hex')
            .reverse()
            .copy(signature, 32);
        headers['Shade-Signature'] = b64(signature);
        expectError(
            await context.api.request('GET', countPath(device), { headers }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
    });

    test('refusals come in the order of the contract', async () => {
        const device = await registered();
        const stranger = new Device({ address: device.address });
        // Old and wrongly signed: the clock is looked at first, because that is cheap.
        expectError(
            await count(device, {
                signer: stranger.identity,
                timestamp: Date.now() - 3_600_000,
            }),
            401,
            'SHADE_TIMESTAMP_SKEW',
        );
        // Replayed and wrongly signed: the signature is looked at first.
        const nonce = b64url(crypto.randomBytes(16));
        expectOutcome(await count(device, { nonce }), 200);
        expectError(
            await count(device, { nonce, signer: stranger.identity }),
            401,
            'SHADE_BAD_REQUEST_SIGNATURE',
        );
    });
});

onEachStore(
    'audience',
    (context) => {
        test('a request for another server is refused, one for this server is not', async () => {
            const device = new Device();
            const body = device.registration();
            for (const audience of ['', 'keys.other.example', 'keys.example ', 'KEYS.EXAMPLE']) {
                expectError(
                    await context.api.write(device, 'POST', kRegister, body, {
                        scheme: 'B',
                        sign: { audience },
                    }),
                    401,
                    'SHADE_BAD_REQUEST_SIGNATURE',
                    `"${audience}"`,
                );
            }
            expectOutcome(
                await context.api.write(device, 'POST', kRegister, body, {
                    scheme: 'B',
                    sign: { audience: 'keys.example' },
                }),
                201,
            );
        });
    },
    { stores: ['sqlite'], env: { ...limitsOff, SHADE_AUDIENCE: 'keys.example' } },
);

onEachStore(
    'skew setting',
    (context) => {
        test('SHADE_MAX_SKEW_SECONDS narrows the window', async () => {
            const device = new Device();
            expectError(
                await context.api.register(device, { signedAt: Date.now() - 20_000 }),
                401,
                'SHADE_TIMESTAMP_SKEW',
            );
            expectOutcome(await context.api.register(device), 201);
        });
    },
    { stores: ['sqlite'], env: { ...limitsOff, SHADE_MAX_SKEW_SECONDS: '10' } },
);

onEachStore(
    'two nodes on one database',
    (context) => {
        test('a request accepted by one is a replay for the other', async () => {
            const replica = await context.backend.replica();
            try {
                const other = new Api(replica.url);
                const device = new Device();
                const json = device.seal(device.registration({ oneTime: 3 }));
                expectOutcome(await context.api.request('POST', kRegister, { json }), 201);
                expectError(await other.request('POST', kRegister, { json }), 409, 'SHADE_REPLAY');
                const a = expectOutcome(await context.api.bundle(device.address), 200);
                const b = expectOutcome(await other.bundle(device.address), 200);
                assert.notEqual(a.oneTimePreKey.keyId, b.oneTimePreKey.keyId);
            } finally {
                await replica.finish();
            }
        });
    },
    { stores: ['postgres'] },
);
