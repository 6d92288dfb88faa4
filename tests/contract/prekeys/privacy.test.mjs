// A busy run at debug level leaves no key, token, signature or address in the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { b64, Device, kSuites, unb64 } from '../../support/client.mjs';
import { expectOutcome } from '../../support/expect.mjs';
import { kUnlimited, onEachStore } from '../../support/stores.mjs';

const kObserverToken = 'observer-token-that-must-stay-secret-42';
const kMetricsToken = 'metrics-token-that-must-stay-secret-42';

// Everything a run must not repeat: each key and signature in its usual spellings.
function secretsOf(value, found = new Set()) {
    if (typeof value === 'string' && value.length >= 24) {
        const bytes = unb64(value);
        found.add(value);
        found.add(b64(bytes).replace(/=+$/, ''));
        found.add(bytes.toString('base64url'));
        found.add(bytes.toString('hex'));
    } else if (value && typeof value === 'object') {
        Object.values(value).forEach((member) => secretsOf(member, found));
    }
    return found;
}

onEachStore(
    'privacy of the log',
    (context) => {
        test('nothing secret or personal is logged by a busy server', async () => {
            const secrets = new Set([kObserverToken, kMetricsToken]);
            const people = [];
            const api = context.api;
            for (const suite of kSuites) {
                const device = new Device({ suite, address: `Very-Personal-Name.${suite}:7` });
                people.push(device.address);
                const registration = device.registration({ oneTime: 3, kemOneTime: 2 });
                const sealed = device.seal(registration);
                secretsOf(sealed, secrets);
                expectOutcome(
                    await api.request('POST', '/v1/keys/register', { json: sealed }),
                    201,
                );
                await api.request('POST', '/v1/keys/register', { json: sealed });
                await api.bundle(device.address);
                await api.identityOf(device.address);
                await api.checkDigest(device.address, device.digest());
                await api.checkDigest(device.address, b64(Buffer.alloc(32)));
                const headers = device.requestHeaders('GET', `/v1/keys/count/${device.address}`);
                secretsOf(headers, secrets);
                await api.request('GET', `/v1/keys/count/${device.address}`, { headers });
                await api.request('GET', `/v1/keys/count/${device.address}`, { headers });
                const claimId = b64(Buffer.from(`claim-of-${suite}`.padEnd(16).slice(0, 16)));
                secrets.add(claimId);
                await api.claim([{ address: device.address, claimId }]);
                const broken = { ...sealed, signature: b64(Buffer.alloc(64, 7)) };
                secretsOf(broken, secrets);
                await api.request('POST', '/v1/keys/replenish', { json: broken });
                await api.register(new Device({ address: device.address }));
                const rotation = device.rotation();
                secretsOf(rotation.body, secrets);
                await api.write(device, 'POST', '/v1/keys/rotate-identity', rotation.body, {
                    signedAt: rotation.signedAt,
                });
                await api.delete(rotation.next);
                await api.bundle(device.address);
            }
            await api.request('GET', '/shade-observer/api/state', {
                headers: { Authorization: `Bearer ${kObserverToken}` },
            });
            const stream = await api.stream(`/shade-observer/api/events?token=${kObserverToken}`);
            stream.close();
            await api.request('GET', '/metrics', {
                headers: { Authorization: `Bearer ${kMetricsToken}` },
            });
            await api.request('GET', '/v1/keys/bundle/Very-Personal-Name%20broken');
            await api.request('POST', '/v1/keys/claim', {
                body: '{"claims":"Very-Personal-Name.inside-a-bad-body"}',
                contentType: 'application/json',
            });
            await context.backend.restart();

            const log = context.server.lines.map(({ text }) => text);
            assert.ok(log.length > 0);
            for (const line of log) {
                for (const secret of secrets) {
                    assert.ok(!line.includes(secret), `a secret is in the log: ${line}`);
                }
                assert.doesNotMatch(
                    line,
                    /Very-Personal-Name/i,
                    `an address is in the log: ${line}`,
                );
                assert.doesNotMatch(line, /[A-Za-z0-9+/_-]{86,}/, `something long: ${line}`);
            }
        });

        test('every line is one JSON object with time, level and message', async () => {
            for (const { text, json } of context.server.lines) {
                assert.ok(json && typeof json === 'object', `not JSON: ${text}`);
                assert.equal(typeof json.msg, 'string', text);
                assert.match(String(json.level), /^(trace|debug|info|warn|error)$/, text);
                assert.ok(json.ts ?? json.time, text);
            }
        });

        test('metrics name nobody', async () => {
            const response = await context.api.request('GET', '/metrics', {
                headers: { Authorization: `Bearer ${kMetricsToken}` },
            });
            assert.doesNotMatch(response.text, /Very-Personal-Name/i);
            assert.doesNotMatch(response.text, /[A-Za-z0-9+/_-]{43,}=?"/);
        });
    },
    {
        env: {
            ...kUnlimited,
            SHADE_LOG_LEVEL: 'debug',
            SHADE_OBSERVER_TOKEN: kObserverToken,
            SHADE_METRICS_TOKEN: kMetricsToken,
        },
    },
);
