// GET /v1/keys/events: what an owner learns about its own address, and nobody else's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiDescription } from '../../support/openapi.mjs';
import { Device, kSuites } from '../../support/client.mjs';
import { expectError, expectOutcome } from '../../support/expect.mjs';
import { onEachStore } from '../../support/stores.mjs';

const kPath = '/v1/keys/events';
const description = ApiDescription.load();

onEachStore('owner events', (context) => {
    const listen = (device, headers = {}) =>
        context.api.stream(kPath, {
            headers: { ...device.requestHeaders('GET', context.api.prefix + kPath), ...headers },
        });
    const registered = async (options, stock) => {
        const device = new Device(options);
        expectOutcome(await context.api.register(device, stock), 201);
        return device;
    };
    const next = async (stream, name) => {
        const event = await stream.next(({ event: seen }) => seen === name);
        const data = JSON.parse(event.data);
        const validate = description.schemaAt('components', 'schemas', 'OwnerEvent');
        assert.ok(validate(data), `${event.data}: ${description.ajv.errorsText(validate.errors)}`);
        return data;
    };

    for (const suite of kSuites) {
        test(`${suite}: low, exhausted, last resort used`, async () => {
            const device = await registered({ suite }, { oneTime: 20 });
            const stream = await listen(device);
            assert.equal(stream.status, 200);
            assert.match(stream.headers['content-type'], /^text\/event-stream/);
            assert.equal(stream.headers['cache-control'], 'no-store');
            const fetch = async (times) => {
                for (let i = 0; i < times; i += 1) {
                    expectOutcome(await context.api.bundle(device.address), 200);
                }
            };
            await fetch(1);
            assert.equal((await next(stream, 'prekeys.low')).oneTimePreKeyCount, 19);
            await fetch(19);
            assert.equal((await next(stream, 'prekeys.exhausted')).oneTimePreKeyCount, 0);
            await fetch(2);
            stream.position = 0;
            await next(stream, 'last_resort.used');
            const used = stream.events.filter(({ event }) => event === 'last_resort.used');
            assert.equal(used.length, 1, 'once, not for every fetch');
            stream.close();
        });
    }

    test('somebody tried to take the address', async () => {
        const device = await registered({}, {});
        const stream = await listen(device);
        const thief = new Device({ address: device.address });
        expectError(await context.api.register(thief), 409, 'SHADE_IDENTITY_CONFLICT');
        await next(stream, 'identity.conflict');
        stream.close();
    });

    test('events of others are not heard', async () => {
        const [device, other] = [
            await registered({}, { oneTime: 1 }),
            await registered({}, { oneTime: 1 }),
        ];
        const stream = await listen(device);
        expectOutcome(await context.api.bundle(other.address), 200);
        expectOutcome(await context.api.bundle(other.address), 200);
        expectOutcome(await context.api.bundle(device.address), 200);
        await next(stream, 'prekeys.exhausted');
        assert.equal(stream.events.filter(({ event }) => event === 'prekeys.exhausted').length, 1);
        stream.close();
    });

    test('two listeners of one owner both hear', async () => {
        const device = await registered({}, { oneTime: 1 });
        const streams = [await listen(device), await listen(device)];
        expectOutcome(await context.api.bundle(device.address), 200);
        for (const stream of streams) {
            await next(stream, 'prekeys.exhausted');
            stream.close();
        }
    });

    test('the stream is for the owner: unsigned, wrongly signed, replayed, unknown', async () => {
        const device = await registered({}, {});
        expectError(await context.api.request('GET', kPath), 401, 'SHADE_UNAUTHORIZED');
        const stranger = new Device({ address: device.address });
        const wrong = await listen(stranger);
        expectError(wrong.response, 401, 'SHADE_BAD_REQUEST_SIGNATURE');
        const headers = device.requestHeaders('GET', context.api.prefix + kPath);
        const first = await context.api.stream(kPath, { headers });
        assert.equal(first.status, 200);
        const second = await context.api.stream(kPath, { headers });
        expectError(second.response, 409, 'SHADE_REPLAY');
        first.close();
        const unknown = await listen(new Device());
        expectError(unknown.response, 404, 'SHADE_NOT_FOUND');
    });

    test('a stream ends with the key that signed for it', async () => {
        const device = await registered({}, { oneTime: 3 });
        const former = await listen(device);
        const { body, signedAt, next: successor } = device.rotation({ oneTime: 1 });
        const path = '/v1/keys/rotate-identity';
        expectOutcome(await context.api.write(device, 'POST', path, body, { signedAt }), 200);
        await former.ended();
        const stream = await listen(successor);
        expectOutcome(await context.api.bundle(device.address), 200);
        await next(stream, 'prekeys.exhausted');
        assert.deepEqual(former.events, []);
        expectOutcome(await context.api.delete(successor), 204);
        await stream.ended();
    });

    test('one owner cannot take all the connections', async () => {
        const device = await registered({}, {});
        const streams = [];
        let refused;
        for (let i = 0; i < 12 && !refused; i += 1) {
            const stream = await listen(device);
            if (stream.status === 200) {
                streams.push(stream);
            } else {
                refused = stream.response;
            }
        }
        assert.ok(refused, 'twelve streams of one owner were accepted');
        assert.ok([429, 503].includes(refused.status));
        streams.forEach((stream) => stream.close());
    });
});
