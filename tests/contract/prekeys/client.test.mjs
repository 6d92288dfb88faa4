// The test client itself, without a server: what it signs must be right, or every other test is
// worth nothing. Known vectors come from RFC 8785, RFC 8032 and RFC 7748; XEdDSA is compared with
// libsignal in both directions.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import {
    b64,
    canonical,
    Device,
    dhBindingMessage,
    ed25519KeyPair,
    ed25519Verify,
    hasKem,
    isXeddsa,
    kemKeyMessage,
    kSuites,
    parseMetrics,
    requestText,
    seededRandom,
    sha256,
    signal,
    signedPreKeyMessage,
    signedText,
    unb64,
    x25519KeyPair,
    x25519Shared,
    xeddsaSign,
    xeddsaVerify,
} from '../../support/client.mjs';

test('canonical JSON follows RFC 8785 section 3.2', () => {
    const input = JSON.parse(
        '{"numbers":[333333333,1,0,-0],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c' +
            '\\\\\\"\\/","literals":[null,true,false]}',
    );
    assert.equal(
        canonical(input),
        '{"literals":[null,true,false],"numbers":[333333333,1,0,0],' +
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
});

test('canonical JSON sorts members by UTF-16 code units (RFC 8785 section 3.2.3)', () => {
    const input = {
        '\u20ac': 'Euro Sign',
        '\r': 'Carriage Return',
        '\ufb33': 'Hebrew Letter Dalet With Dagesh',
        1: 'One',
        '\u{1f600}': 'Emoji: Grinning Face',
        '\u0080': 'Control',
        '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    assert.equal(
        canonical(input),
        '{"\\r":"Carriage Return","1":"One","\u0080":"Control",' +
            '"\u00f6":"Latin Small Letter O With Diaeresis","\u20ac":"Euro Sign",' +
            '"\u{1f600}":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
    );
});

test('scheme A leaves out only the outermost signature', () => {
    const body = { b: { signature: 'kept' }, signature: 'gone', a: 1 };
    assert.equal(signedText(body), '{"a":1,"b":{"signature":"kept"}}');
});

test('Ed25519 agrees with RFC 8032 test 2', () => {
    const seed = Buffer.from(
        '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
        'hex',
    );
    const pair = ed25519KeyPair(() => seed);
    assert.equal(
        pair.publicKey.toString('hex'),
        '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    );
    assert.equal(
        pair.sign(Buffer.from([0x72])).toString('hex'),
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
            '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
});

test('X25519 agrees with RFC 7748 section 6.1', () => {
    const bob = x25519KeyPair(() =>
        Buffer.from('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb', 'hex'),
    );
    const alicePublic = Buffer.from(
        '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
        'hex',
    );
    assert.equal(
        bob.publicKey.toString('hex'),
        'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
    );
    assert.equal(
        x25519Shared(bob.seed, alicePublic).toString('hex'),
        '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742',
    );
});

test('XEdDSA of this client is accepted by libsignal, and the other way round', () => {
    for (let round = 0; round < 20; round += 1) {
        const key = signal.PrivateKey.generate();
        const message = crypto.randomBytes(round * 7);
        const serialized = key.getPublicKey().serialize();
        assert.ok(xeddsaVerify(serialized, message, xeddsaSign(key.serialize(), message)));
        const theirs = key.sign(new Uint8Array(message));
        assert.ok(xeddsaVerify(serialized, message, theirs));
        const broken = Buffer.from(xeddsaSign(key.serialize(), message));
        broken[10] ^= 1;
        assert.ok(!xeddsaVerify(serialized, message, broken));
    }
});

test('seeded randomness repeats, so examples can be made again', () => {
    assert.deepEqual(seededRandom('a')(100), seededRandom('a')(100));
    assert.notDeepEqual(seededRandom('a')(32), seededRandom('b')(32));
});

test('the request text of scheme B, line by line', () => {
    const text = requestText({
        method: 'get',
        target: '/v1/keys/count/alice%3A1?b=2&a=%20&b=1',
        audience: 'keys.example',
        address: 'alice:1',
        timestamp: 1767225600000,
        nonce: 'AAECAwQFBgcICQoLDA0ODw',
    });
    assert.deepEqual(text.split('\n'), [
        'SHADE-REQ-V1',
        'GET',
        '/v1/keys/count/alice%3A1?a=%20&b=2&b=1',
        'keys.example',
        'alice:1',
        '1767225600000',
        'AAECAwQFBgcICQoLDA0ODw',
        'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    ]);
});

for (const suite of kSuites) {
    test(`registration of ${suite} has the right lengths and valid signatures`, () => {
        const device = new Device({ suite });
        const body = device.registration({ oneTime: 2, kemOneTime: 1 });
        const verify = isXeddsa(suite)
            ? (message, signature) => xeddsaVerify(unb64(body.identityKey), message, signature)
            : (message, signature) =>
                  ed25519Verify(unb64(body.identitySigningKey), message, signature);
        const keyLength = isXeddsa(suite) ? 33 : 32;
        const spk = body.signedPreKey;
        assert.equal(unb64(spk.publicKey).length, keyLength);
        assert.ok(
            verify(signedPreKeyMessage(suite, spk, unb64(spk.publicKey)), unb64(spk.signature)),
        );
        body.oneTimePreKeys.forEach((key) => assert.equal(unb64(key.publicKey).length, keyLength));
        if (!isXeddsa(suite)) {
            assert.ok(
                verify(
                    dhBindingMessage(device.address, unb64(body.identityDhKey)),
                    unb64(body.identityDhKeySignature),
                ),
            );
        }
        if (hasKem(suite)) {
            for (const key of [body.kemLastResortPreKey, ...body.kemOneTimePreKeys]) {
                assert.equal(unb64(key.publicKey).length, isXeddsa(suite) ? 1569 : 1568);
                const message = kemKeyMessage(suite, key, unb64(key.publicKey));
                assert.ok(verify(message, unb64(key.signature)));
            }
        }
        const sealed = device.seal(body);
        assert.ok(verify(Buffer.from(signedText(sealed)), unb64(sealed.signature)));
    });
}

test('the digest covers identity, signed prekey and last resort in that order', () => {
    const device = new Device({ suite: 'pqxdh-ed25519', random: seededRandom('digest') });
    device.registration();
    const u64 = (n) => Buffer.from(n.toString(16).padStart(16, '0'), 'hex');
    const expected = sha256(
        device.identity.keyBytes,
        device.identity.dhBytes,
        u64(device.signedPreKey.keyId),
        unb64(device.signedPreKey.publicKey),
        u64(device.kemLastResortPreKey.keyId),
        unb64(device.kemLastResortPreKey.publicKey),
    );
    assert.equal(device.digest(), b64(expected));
});

test('timestamps of one device grow strictly', () => {
    const device = new Device();
    const stamps = Array.from({ length: 50 }, () => device.now());
    assert.ok(stamps.every((stamp, i) => i === 0 || stamp > stamps[i - 1]));
});

test('metrics text is parsed with sorted labels and escapes', () => {
    const samples = parseMetrics(
        '# HELP x y\n# TYPE x counter\nx{b="2",a="q\\"uote, {}"} 3\ny 1e3\nz{} 0.5\n',
    );
    assert.equal(samples.get('x{a="q\\"uote, {}",b="2"}'), 3);
    assert.equal(samples.get('y'), 1000);
});
