// Hostile input: every case is refused with a described error, quickly, and the server goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    b64,
    Device,
    kSmallOrderEdwards,
    kSmallOrderMontgomery,
    kSuites,
    rawExchange,
    unb64,
    withDjbType,
} from '../../support/client.mjs';
import { expectError, expectField, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kRegister = '/v1/keys/register';
const kJsonRoutes = [
    ['POST', kRegister],
    ['POST', '/v1/keys/replenish'],
    ['PUT', '/v1/keys/signed-prekey'],
    ['POST', '/v1/keys/rotate-identity'],
    ['POST', '/v1/keys/claim'],
    ['POST', '/v1/keys/check'],
    ['DELETE', '/v1/keys/somebody:1'],
];
// A field element that is not reduced: p + 9 has the bytes of no canonical key.
const kNonCanonicalU = Buffer.from(
    'f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'hex',
);

// Bodies that are not the JSON this API reads. `name: bytes`.
const kNotJson = {
    'nothing at all': '',
    'not JSON': 'address=alice',
    'an array': '[]',
    'a string': '"alice"',
    'a number': '1',
    null: 'null',
    'an unfinished object': '{"address":"a:1"',
    'two values': '{}{}',
    'trailing bytes': '{} x',
    'a comment': '{/* */}',
    'a trailing comma': '{"a":1,}',
    'single quotes': "{'a':1}",
    'a byte order mark': '\ufeff{}',
    'a NUL byte': '{"a":"\u0000"}',
    'a raw control character': '{"a":"\u0001"}',
    'invalid UTF-8': Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d]),
    'an overlong encoding': Buffer.concat([
        Buffer.from('{"a":"'),
        Buffer.from([0xc0, 0xaf]),
        Buffer.from('"}'),
    ]),
    'an encoded surrogate': Buffer.concat([
        Buffer.from('{"a":"'),
        Buffer.from([0xed, 0xa0, 0x80]),
        Buffer.from('"}'),
    ]),
    'a lone high surrogate': '{"a":"\\ud800"}',
    'a lone low surrogate': '{"a":"\\udc00x"}',
    'surrogates the wrong way round': '{"a":"\\udc00\\ud800"}',
    'a lone surrogate in a name': '{"\\ud800":1}',
    'a doubled member': '{"address":"a:1","address":"b:1"}',
    'a doubled member, spelt with an escape': '{"address":"a:1","\\u0061ddress":"b:1"}',
    'a doubled member deep inside': '{"a":{"b":[{"c":1,"c":1}]}}',
    'a float': '{"a":1.5}',
    'a float that is whole': '{"a":1.0}',
    'an exponent': '{"a":1e3}',
    'minus zero as a float': '{"a":-0.0}',
    'a number beyond a double': '{"a":1e400}',
    'a number beyond 64 bits': '{"a":123456789012345678901234567890}',
    NaN: '{"a":NaN}',
    Infinity: '{"a":Infinity}',
    'a leading zero': '{"a":01}',
    'a plus sign': '{"a":+1}',
    'depth 9 by objects': `${'{"a":'.repeat(9)}1${'}'.repeat(9)}`,
    'depth 9 by arrays': `{"a":${'['.repeat(8)}${']'.repeat(8)}}`,
    'depth 10,000': `{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`,
    'depth 10,000, never closed': `{"a":${'['.repeat(10_000)}`,
};

onEachStore('hostile JSON', (context) => {
    for (const [name, body] of Object.entries(kNotJson)) {
        test(`${name} is refused everywhere`, async () => {
            for (const [method, path] of kJsonRoutes) {
                // Without a body a delete is a request of scheme B, which is then unsigned.
                const expected =
                    method === 'DELETE' && body.length === 0
                        ? '401 SHADE_UNAUTHORIZED'
                        : '400 SHADE_VALIDATION';
                const response = await context.api.request(method, path, {
                    body: Buffer.from(body),
                    contentType: 'application/json',
                });
                expectOutcome(response, expected, `${method} ${path}:`);
            }
        });
    }

    test('depth 8 is still read', async () => {
        const device = new Device();
        const deep = JSON.parse(`${'['.repeat(7)}1${']'.repeat(7)}`);
        const body = device.registration({ members: { deep } });
        expectOutcome(await context.api.write(device, 'POST', kRegister, body), 201);
    });

    test('many members are no trouble', async () => {
        const device = new Device();
        const extra = Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`m${i}`, i]));
        const body = device.registration({ members: extra });
        expectOutcome(await context.api.write(device, 'POST', kRegister, body), 201);
    });

    test('names that mean something elsewhere mean nothing here', async () => {
        const device = new Device();
        const text = JSON.stringify(
            device.seal({
                ...device.registration(),
                ['__proto__x']: 1,
                constructor: { prototype: 1 },
                $ref: '#/',
                'a\u2028b': '\u2028\u007f',
            }),
        );
        expectOutcome(
            await context.api.request('POST', kRegister, {
                body: text,
                contentType: 'application/json',
            }),
            201,
        );
    });
});

// One wrong member each; the answer must blame it.
function memberCases(device) {
    const good = device.registration({ oneTime: 2, kemOneTime: 1 });
    const cases = [];
    const add = (field, values, change) =>
        values.forEach((value) => {
            const body = structuredClone(good);
            change(body, value);
            cases.push({ field, value, body });
        });
    const set = (name) => (body, value) => {
        body[name] = value;
    };
    const wrongTypes = [null, true, 7, [], {}];
    const badBase64 = [
        '',
        '*'.repeat(44),
        good.signedPreKey.publicKey.slice(0, -3),
        ` ${good.signedPreKey.publicKey}`,
        `${good.signedPreKey.publicKey}\n`,
        `${good.signedPreKey.publicKey}====`,
        b64(Buffer.alloc(31)),
        b64(Buffer.alloc(34)),
        // Two alphabets in one text.
        `${'-_'.repeat(11)}${'+/'.repeat(11)}`,
    ];
    add('address', [null, true, 7, [], {}], set('address'));
    add('suite', [true, 7, [], 'x3dh', 'X3DH-ED25519', 'pqxdh-ed448', ''], set('suite'));
    add('registrationId', [0, -1, 16381, 4294967296, '1', true, []], set('registrationId'));
    add('mode', ['', 'Merge', 'drop', 1, {}], set('mode'));
    add('oneTimePreKeys', [{}, 'x', 1, true], set('oneTimePreKeys'));
    add('oneTimePreKeys[0]', [[1], ['x'], [null], [[]]], set('oneTimePreKeys'));
    add('signedPreKey', [...wrongTypes.slice(0, 4), 'x'], set('signedPreKey'));
    add(
        'signedPreKey.keyId',
        [null, 0, -1, 4294967296, 9007199254740993n, '1', true],
        (body, value) => {
            body.signedPreKey.keyId = value;
        },
    );
    add('signedPreKey.publicKey', [...wrongTypes, ...badBase64], (body, value) => {
        body.signedPreKey.publicKey = value;
    });
    add(
        'signedPreKey.signature',
        [...wrongTypes, '', b64(Buffer.alloc(63)), b64(Buffer.alloc(65))],
        (body, value) => {
            body.signedPreKey.signature = value;
        },
    );
    add('signedPreKey.createdAt', [-1, '1', true, 8640000000000001], (body, value) => {
        body.signedPreKey.createdAt = value;
    });
    add('oneTimePreKeys[1].keyId', [null, 0, 4294967296, '100'], (body, value) => {
        body.oneTimePreKeys[1].keyId = value;
    });
    add('oneTimePreKeys[1].publicKey', [...wrongTypes, ...badBase64], (body, value) => {
        body.oneTimePreKeys[1].publicKey = value;
    });
    if (good.identityKey) {
        add('identityKey', [...wrongTypes, ...badBase64], set('identityKey'));
    } else {
        add('identitySigningKey', [...wrongTypes, ...badBase64], set('identitySigningKey'));
        add('identityDhKey', [...wrongTypes, ...badBase64], set('identityDhKey'));
        add(
            'identityDhKeySignature',
            [true, 7, [], b64(Buffer.alloc(63))],
            set('identityDhKeySignature'),
        );
    }
    if (good.kemLastResortPreKey) {
        add('kemLastResortPreKey', [...wrongTypes.slice(0, 4), 'x'], set('kemLastResortPreKey'));
        add(
            'kemLastResortPreKey.alg',
            [7, true, '', 'ML-KEM-1024', 'ml-kem-512', 'kyber768'],
            (body, value) => {
                body.kemLastResortPreKey.alg = value;
            },
        );
        add('kemOneTimePreKeys[0].keyId', [0, '5000'], (body, value) => {
            body.kemOneTimePreKeys[0].keyId = value;
        });
        add('kemOneTimePreKeys[0].publicKey', [null, '', 7, '*'], (body, value) => {
            body.kemOneTimePreKeys[0].publicKey = value;
        });
    }
    return cases;
}

// BigInt stands for a number JSON.stringify cannot write.
const jsonText = (body) =>
    JSON.stringify(body, (_, value) => (typeof value === 'bigint' ? `@${value}@` : value)).replace(
        /"@(\d+)@"/g,
        '$1',
    );

onEachStore('hostile members', (context) => {
    for (const suite of kSuites) {
        test(`${suite}: each wrong member is blamed by name`, async () => {
            const device = new Device({ suite });
            for (const { field, value, body } of memberCases(device)) {
                const response = await context.api.request('POST', kRegister, {
                    body: jsonText(body),
                    contentType: 'application/json',
                });
                const what = `${field} = ${jsonText(value)?.slice(0, 60)}:`;
                assert.equal(response.outcome, '400 SHADE_VALIDATION', `${what} ${response.text}`);
                assert.equal(response.json.error.details?.field, field, what);
            }
            expectError(await context.api.bundle(device.address), 404, 'SHADE_NOT_FOUND');
        });

        test(`${suite}: each missing member is blamed by name`, async () => {
            const device = new Device({ suite });
            const good = device.registration({ oneTime: 1 });
            const required = suite.endsWith('xeddsa')
                ? ['address', 'identityKey', 'registrationId', 'signedPreKey']
                : ['address', 'identitySigningKey', 'identityDhKey', 'signedPreKey'];
            for (const name of required) {
                const { [name]: left, ...body } = good;
                expectField(await context.api.write(device, 'POST', kRegister, body), name);
            }
            for (const name of ['keyId', 'publicKey', 'signature']) {
                const { [name]: left, ...signedPreKey } = good.signedPreKey;
                expectField(
                    await context.api.write(device, 'POST', kRegister, { ...good, signedPreKey }),
                    `signedPreKey.${name}`,
                );
            }
        });
    }

    test('base64 with unused bits set is another spelling of a key, and refused', async () => {
        const device = new Device();
        const body = device.registration({ oneTime: 1 });
        const key = body.oneTimePreKeys[0].publicKey;
        // The last character before the padding carries two unused bits.
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
        const last = alphabet.indexOf(key[42]);
        assert.equal(last % 4, 0);
        body.oneTimePreKeys[0].publicKey = `${key.slice(0, 42)}${alphabet[last + 1]}=`;
        expectField(
            await context.api.write(device, 'POST', kRegister, body),
            'oneTimePreKeys[0].publicKey',
        );
    });

    test('addresses that are none', async () => {
        const device = new Device();
        const good = device.registration();
        for (const address of [
            '',
            ' ',
            'a b',
            'a/b',
            'a\\b',
            'a%20b',
            'ä',
            'a\u0301',
            'a\u200bb',
            '\u202ea',
            'a'.repeat(129),
            'ﷺ'.repeat(100),
            'a'.repeat(60_000),
            '../../etc/passwd',
            "'; drop table x; --",
        ]) {
            const json = device.seal({ ...good, address });
            const response = await context.api.request('POST', kRegister, { json });
            expectError(response, 400, 'SHADE_BAD_ADDRESS', JSON.stringify(address).slice(0, 40));
        }
    });
});

onEachStore('weak keys', (context) => {
    const refuse = async (device, body, note) =>
        expectError(
            await context.api.write(device, 'POST', kRegister, body),
            422,
            'SHADE_WEAK_KEY',
            note,
        );

    test('X25519 points of small order are refused wherever they stand', async () => {
        for (const point of kSmallOrderMontgomery) {
            const device = new Device();
            const good = device.registration({ oneTime: 2 });
            const hex = point.toString('hex');
            await refuse(device, { ...good, identityDhKey: b64(point) }, `dh ${hex}`);
            const error = await refuse(
                device,
                {
                    ...good,
                    oneTimePreKeys: [
                        good.oneTimePreKeys[0],
                        { ...good.oneTimePreKeys[1], publicKey: b64(point) },
                    ],
                },
                `one-time ${hex}`,
            );
            assert.deepEqual(error.details.keyIds, [good.oneTimePreKeys[1].keyId]);
            await refuse(
                device,
                { ...good, signedPreKey: { ...good.signedPreKey, publicKey: b64(point) } },
                `signed prekey ${hex}`,
            );
        }
    });

    test('xeddsa: points of small order with their type byte', async () => {
        for (const point of kSmallOrderMontgomery) {
            const device = new Device({ suite: 'x3dh-xeddsa' });
            const good = device.registration({ oneTime: 1 });
            const typed = b64(withDjbType(point));
            await refuse(device, { ...good, identityKey: typed }, point.toString('hex'));
            await refuse(device, {
                ...good,
                oneTimePreKeys: [{ ...good.oneTimePreKeys[0], publicKey: typed }],
            });
        }
    });

    test('keys that are not canonical', async () => {
        const device = new Device();
        const good = device.registration();
        await refuse(device, { ...good, identityDhKey: b64(kNonCanonicalU) }, 'unreduced u');
        const highBit = unb64(good.identityDhKey);
        highBit[31] |= 0x80;
        await refuse(device, { ...good, identityDhKey: b64(highBit) }, 'unused top bit set');
    });

    test('xeddsa: the type byte must be 05', async () => {
        const device = new Device({ suite: 'pqxdh-xeddsa' });
        const good = device.registration({ oneTime: 1 });
        const bytes = unb64(good.oneTimePreKeys[0].publicKey);
        bytes[0] = 6;
        const response = await context.api.write(device, 'POST', kRegister, {
            ...good,
            oneTimePreKeys: [{ ...good.oneTimePreKeys[0], publicKey: b64(bytes) }],
        });
        assert.ok(['400', '422'].includes(String(response.status)), response.text);
    });

    test('Ed25519 identity keys of small order', async () => {
        for (const point of kSmallOrderEdwards) {
            const device = new Device();
            const body = { ...device.registration(), identitySigningKey: b64(point) };
            // A lax verifier accepts R = identity, S = 0 for such a key.
            const forged = Buffer.alloc(64);
            forged[0] = 1;
            const json = { ...body, signedAt: device.now(), signature: b64(forged) };
            json.signedPreKey = { ...json.signedPreKey, signature: b64(forged) };
            const { identityDhKeySignature, ...rest } = json;
            const response = await context.api.request('POST', kRegister, { json: rest });
            expectError(response, 422, 'SHADE_WEAK_KEY', point.toString('hex'));
        }
    });

    test('KEM keys of wrong length or with coefficients out of range', async () => {
        for (const suite of ['pqxdh-ed25519', 'pqxdh-xeddsa']) {
            const device = new Device({ suite });
            const good = device.registration({ kemOneTime: 1 });
            const key = good.kemOneTimePreKeys[0];
            const bytes = unb64(key.publicKey);
            const variants = {
                short: bytes.subarray(0, bytes.length - 1),
                long: Buffer.concat([bytes, Buffer.alloc(1)]).subarray(0, 1569),
                'all ones': Buffer.concat([
                    bytes.subarray(0, 1),
                    Buffer.alloc(bytes.length - 1, 0xff),
                ]),
            };
            for (const [name, variant] of Object.entries(variants)) {
                if (variant.equals(bytes) || (name === 'long' && suite === 'pqxdh-xeddsa')) {
                    continue;
                }
                const response = await context.api.write(device, 'POST', kRegister, {
                    ...good,
                    kemOneTimePreKeys: [{ ...key, publicKey: b64(variant) }],
                });
                const error = expectError(response, 422, 'SHADE_BAD_KEM_KEY', `${suite} ${name}`);
                assert.deepEqual(error.details.keyIds, [key.keyId]);
            }
        }
    });
});

onEachStore(
    'hostile HTTP',
    (context) => {
        const raw = (method, path, text) =>
            context.api.raw(method, path, Buffer.from(text, 'latin1'));
        const alive = async () => expectOutcome(await context.api.request('GET', '/healthz'), 200);

        test('bodies over the limit are refused unread', async () => {
            for (const [method, path, bytes] of [
                ['POST', '/v1/keys/claim', 70_000],
                ['POST', '/v1/keys/check', 70_000],
                ['PUT', '/v1/keys/signed-prekey', 70_000],
                ['DELETE', '/v1/keys/a:1', 70_000],
                ['POST', kRegister, 600_000],
                ['POST', '/v1/keys/replenish', 600_000],
                ['POST', '/v1/keys/rotate-identity', 600_000],
            ]) {
                // Only the head is sent: the announced length is enough.
                const response = await raw(
                    method,
                    path,
                    `${method} ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
                        `Content-Length: ${bytes}\r\n\r\n`,
                );
                expectError(response, 413, 'SHADE_BODY_TOO_LARGE', `${method} ${path}`);
            }
            await alive();
        });

        test('a chunked body over the limit is refused', async () => {
            const path = '/v1/keys/claim';
            const chunk = `4000\r\n${' '.repeat(0x4000)}\r\n`;
            const response = await raw(
                'POST',
                path,
                `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
                    `Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(6)}`,
            );
            expectError(response, 413, 'SHADE_BODY_TOO_LARGE');
            await alive();
        });

        test('a suite without KEM keys has the small body', async () => {
            const device = new Device();
            const body = device.registration({ members: { padding: 'x'.repeat(70_000) } });
            expectError(
                await context.api.write(device, 'POST', kRegister, body),
                413,
                'SHADE_BODY_TOO_LARGE',
            );
            const kem = new Device({ suite: 'pqxdh-ed25519' });
            const large = kem.registration({ members: { padding: 'x'.repeat(70_000) } });
            expectOutcome(await context.api.write(kem, 'POST', kRegister, large), 201);
        });

        test('unknown paths and methods', async () => {
            for (const path of ['/', '/v1', '/v1/keys', '/v2/keys/register', '/v1/keys/a/b/c']) {
                const response = await context.api.request('GET', path);
                assert.ok([404, 405].includes(response.status), `${path}: ${response.text}`);
                if (response.status === 404) {
                    expectError(response, 404, 'SHADE_NOT_FOUND', path);
                }
            }
            for (const [method, path] of [
                ['GET', kRegister],
                ['PUT', kRegister],
                ['PATCH', '/v1/keys/claim'],
                ['DELETE', '/v1/keys/bundle/a:1'],
                ['POST', '/health'],
            ]) {
                const response = await context.api.request(method, path);
                expectError(response, 405, 'SHADE_METHOD_NOT_ALLOWED', `${method} ${path}`);
                assert.match(response.headers.allow, /[A-Z]+(, [A-Z]+)*/);
            }
        });

        test('percent-encoding that is none, and paths that climb', async () => {
            for (const path of [
                '/v1/keys/bundle/%',
                '/v1/keys/bundle/%zz',
                '/v1/keys/bundle/%00',
                '/v1/keys/bundle/%ff%fe',
                '/v1/keys/bundle/..%2f..%2fhealth',
                '/v1/keys/../../health',
                '//v1/keys/bundle/a',
            ]) {
                const response = await raw('GET', path, `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
                assert.ok([400, 404].includes(response.status), `${path} -> ${response.status}`);
            }
            await alive();
        });

        test('malformed heads are refused or cut off', async () => {
            const heads = {
                'no such version': 'GET /healthz HTTP/3.0\r\nHost: x\r\n\r\n',
                'no version': 'GET /healthz\r\n\r\n',
                nonsense: '\u0016\u0003\u0001\u0002\u0000\u0001\r\n\r\n',
                'a space in the name': 'GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n',
                'a folded header': 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n',
                'a NUL in a value': 'GET /healthz HTTP/1.1\r\nHost: x\r\nA: \u0000\r\n\r\n',
                'two lengths':
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n' +
                    'Content-Length: 3\r\n\r\n{}',
                'length and chunks':
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n' +
                    'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
                'a negative length':
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
                'a huge length':
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\n' +
                    'Content-Length: 99999999999999999999999\r\n\r\n',
                'a chunk size that is none':
                    'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\n' +
                    'Transfer-Encoding: chunked\r\n\r\nxyz\r\n',
                'too many headers': `GET /healthz HTTP/1.1\r\nHost: x\r\n${'A: b\r\n'.repeat(500)}\r\n`,
                'a head too large': `GET /healthz HTTP/1.1\r\nHost: x\r\nA: ${'b'.repeat(100_000)}\r\n\r\n`,
                'a target too long': `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
            };
            for (const [name, head] of Object.entries(heads)) {
                const response = await rawExchange(context.server.url, Buffer.from(head, 'latin1'));
                assert.ok(
                    response === null || (response.status >= 400 && response.status < 600),
                    `${name}: ${response?.status}`,
                );
                assert.notEqual(response?.status, 500, name);
            }
            await alive();
        });

        test('what HTTP itself refuses says so, and does not blame the storage', async () => {
            const post = 'POST /v1/keys/register HTTP/1.1\r\nHost: x\r\n';
            for (const [status, code, text] of [
                [414, 'net.target_too_long', `GET /${'a'.repeat(9_000)} HTTP/1.1\r\nHost: x\r\n\r\n`],
                [417, 'net.expectation', `${post}Expect: tea\r\nContent-Length: 2\r\n\r\n`],
                [431, 'net.head_too_large', `${post}X: ${'a'.repeat(20_000)}\r\n\r\n`],
                [501, 'net.transfer_coding', `${post}Transfer-Encoding: gzip\r\n\r\n`],
                [505, 'net.http_version', 'GET / HTTP/3.0\r\nHost: x\r\n\r\n'],
                [408, 'net.request_timeout', post],
            ]) {
                const response = await rawExchange(context.api.baseUrl, Buffer.from(text));
                assert.equal(response.status, status, code);
                assert.equal(response.headers['content-type'], 'application/problem+json');
                assert.equal(response.json.code, code);
                assert.doesNotMatch(response.text, /SHADE_|storage/i);
            }
            await alive();
        });

        test('a request smuggled behind another is not taken for its body', async () => {
            const text =
                'POST /v1/keys/claim HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}' +
                'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
            const response = await raw('POST', '/v1/keys/claim', text);
            expectField(response, 'claims');
        });

        test('a content type that is not JSON does not matter, or is refused; never a crash', async () => {
            for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', '']) {
                const response = await context.api.request('POST', '/v1/keys/claim', {
                    body: '{"claims":[]}',
                    contentType,
                });
                assert.ok([400, 415].includes(response.status), response.text);
            }
        });

        test('a request id is echoed when it is one, and made when it is not', async () => {
            const good = 'trace-01J9Z6Q0.V6_T4';
            const echoed = await context.api.request('GET', '/v1/keys/bundle/nobody:1', {
                headers: { 'X-Request-Id': good },
            });
            assert.equal(echoed.headers['x-request-id'], good);
            assert.equal(echoed.json.error.requestId, good);
            for (const bad of ['a b', 'x'.repeat(200), '"quoted"', 'ünïcode']) {
                const response = await context.api.request('GET', '/healthz', {
                    headers: { 'X-Request-Id': Buffer.from(bad).toString('latin1') },
                });
                assert.notEqual(response.headers['x-request-id'], bad);
                assert.match(response.headers['x-request-id'], /^[\w.-]{1,64}$/);
            }
        });
    },
    { stores: ['sqlite'] },
);

onEachStore('hostile load', (context) => {
    test('a hundred broken requests at once leave the server well', async () => {
        const device = new Device();
        expectOutcome(await context.api.register(device, { oneTime: 5 }), 201);
        const bodies = Object.values(kNotJson);
        const answers = await Promise.all(
            Array.from({ length: 100 }, (_, i) =>
                context.api.request('POST', '/v1/keys/claim', {
                    body: Buffer.from(bodies[i % bodies.length]),
                    contentType: 'application/json',
                }),
            ),
        );
        answers.forEach((answer) => assert.equal(answer.status, 400));
        const bundle = expectOutcome(await context.api.bundle(device.address), 200);
        assert.equal(bundle.oneTimeStatus, 'issued');
    });
});
