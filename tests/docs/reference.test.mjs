// The reference pages say what the code does: metrics, errors, worked examples, links.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Api, Device } from '../support/client.mjs';
import { Server, binary } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const read = (file) => fs.readFileSync(path.join(kRoot, file), 'utf8');

const needsBinary = fs.existsSync(binary()) ? {} : { skip: `NOT RUN: no binary at ${binary()}` };
if (needsBinary.skip && process.env.NAVE_REQUIRE_SERVICES) {
    throw new Error(needsBinary.skip);
}

// Made by a failing backend only, so a healthy server does not show it.
const kSeriesOfFailures = ['shade_store_errors_total'];

// name -> { type, labels } of the tables in docs/metrics.md; labels sorted.
function documentedSeries() {
    const rows = read('docs/metrics.md').matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\|/gm);
    return new Map(
        [...rows].map(([, name, type, labels]) => [
            name,
            { type, labels: [...labels.matchAll(/`(\w+)`/g)].map((m) => m[1]).sort() },
        ]),
    );
}

function servedSeries(text) {
    const series = new Map();
    for (const [, name, type] of text.matchAll(/^# TYPE (\w+) (\w+)$/gm)) {
        const sample = new RegExp(`^${name}(?:_bucket)?(?:\\{(.*)\\})? `, 'm').exec(text);
        const labels = [...(sample?.[1] ?? '').matchAll(/(\w+)="/g)].map((m) => m[1]);
        series.set(name, { type, labels: labels.filter((label) => label !== 'le').sort() });
    }
    return series;
}

test('docs/metrics.md lists every series with its type and labels', needsBinary, async () => {
    const server = await Server.start();
    const broker = await Server.start({ services: ['broker'] });
    try {
        const api = new Api(server.url);
        const device = new Device();
        assert.equal((await api.register(device, { oneTime: 2 })).status, 201);
        assert.equal((await api.bundle(device.address)).status, 200);
        const served = servedSeries((await api.request('GET', '/metrics')).text);
        assert.ok(served.size > 20, 'the exposition was read');
        const ofBroker = servedSeries(await (await fetch(`${broker.url}/metrics`)).text());
        assert.ok(ofBroker.size > 20, "the broker's exposition was read");
        ofBroker.forEach((series, name) => served.set(name, series));
        const documented = documentedSeries();
        for (const name of kSeriesOfFailures) {
            assert.ok(documented.delete(name), `${name} is not documented`);
        }
        const sorted = (map) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));
        assert.deepEqual(sorted(documented), sorted(served));
    } finally {
        await server.finish();
        await broker.finish();
    }
});

test('docs/errors.md lists every error of the broker', () => {
    const defined = [
        ...read('src/broker/errors.def').matchAll(/^BROKER_ERROR\(\w+, \w+, "(\w+)", "(.*)"\)$/gm),
    ].map(([, code, message]) => [code, message]);
    assert.ok(defined.length > 15, 'the catalogue was read');
    const documented = [...read('docs/errors.md').matchAll(/^\| `([a-z_]+)` \| [^|]+ \| (.*?) \|/gm)];
    assert.deepEqual(
        documented.map(([, code, message]) => [code, message]),
        defined,
    );
});

test('docs/errors.md lists every error of prekeys', () => {
    const defined = [
        ...read('src/prekeys/errors.def').matchAll(/^PREKEYS_ERROR\(\w+, \w+, "(\w+)", "(.*)"\)$/gm),
    ].map(([, code, message]) => [code, message]);
    assert.ok(defined.length > 15, 'the catalogue was read');
    const documented = [...read('docs/errors.md').matchAll(/^\| `(SHADE_\w+)` \| [\d, ]+ \| (.*?) \|/gm)];
    assert.deepEqual(
        documented.map(([, code, message]) => [code, message]),
        defined,
    );
});

// The key whose seed is 32 bytes that count up from `first`.
const exampleKey = (first) =>
    crypto.createPrivateKey({
        key: Buffer.from([
            ...Buffer.from('302e020100300506032b657004220420', 'hex'),
            ...Array.from({ length: 32 }, (_, i) => first + i),
        ]),
        format: 'der',
        type: 'pkcs8',
    });

test('the worked signatures of the page of prekeys are right', () => {
    const page = read('docs/protocol/prekeys.md');
    const key = exampleKey(0);
    for (const [scheme, length] of [
        ['a', 46],
        ['b', 166],
    ]) {
        const [, text] = new RegExp(`\`\`\`text scheme-${scheme}\n(.*?)\n\`\`\``, 's').exec(page);
        const signature = crypto.sign(null, Buffer.from(text), key).toString('base64');
        assert.ok(page.includes(signature), `scheme ${scheme}: the page lacks ${signature}`);
        assert.equal(Buffer.byteLength(text), length);
        assert.match(page, new RegExp(`${length} bytes`));
    }
});

test('the worked signatures of the page of the broker are right', () => {
    const page = read('docs/protocol/broker.md');
    for (const [name, seed, length] of [
        ['hello', 0, 144],
        ['attestation', 0, 169],
        ['session_hello', 32, 201],
        ['invite', 64, 194],
    ]) {
        const [, text] = new RegExp(`\`\`\`text ${name}\n(.*?)\n\`\`\``, 's').exec(page);
        const signature = crypto.sign(null, Buffer.from(text), exampleKey(seed)).toString('hex');
        assert.ok(page.includes(signature), `${name}: the page lacks ${signature}`);
        assert.equal(Buffer.byteLength(text), length);
        assert.match(page, new RegExp(`${length} bytes`));
    }
});

test('the page of the broker names every request and every route', () => {
    const page = read('docs/protocol/broker.md');
    const types = [...read('src/broker/requests.cc').matchAll(/^    \{"(\w+)", &/gm)];
    assert.ok(types.length > 30, 'the table of requests was read');
    const routes = ['admin_routes', 'message_routes', 'routes'].flatMap((file) => [
        ...read(`src/broker/api/${file}.cc`).matchAll(
            /add\(net::Method::(?:get|post|del),\s+"([^"]+)"/g,
        ),
    ]);
    assert.ok(routes.length > 15, 'the routes were read');
    const missing = [
        ...types.map(([, type]) => type).filter((type) => !page.includes(`\`${type}\``)),
        ...routes.map(([, route]) => route).filter((route) => !page.includes(route)),
    ];
    // `client_ack {...}` and `set_status {...}` are shown with their fields.
    assert.deepEqual(
        missing.filter((name) => !new RegExp(`\`${name} \\{`).test(page)),
        [],
    );
});

test('the page of prekeys names every path of the API description', () => {
    const page = read('docs/protocol/prekeys.md');
    const paths = [...read('src/prekeys/openapi.yaml').matchAll(/^  (\/v1\/[^:]+(?:\{\w+\})?):$/gm)];
    assert.ok(paths.length > 10, 'the description was read');
    for (const [, name] of paths) {
        const shown = name.replace('{tile}', '<L>/<N>');
        assert.ok(page.includes(shown), `${shown} is missing`);
    }
});

// The anchors that headings get on code hosts.
const anchorsOf = (markdown) =>
    [...markdown.replace(/^```.*?^```$/gms, '').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
        heading
            .toLowerCase()
            .replace(/[^\p{L}\p{N} _-]/gu, '')
            .replaceAll(' ', '-'),
    );

test('every link between the pages leads somewhere', () => {
    const pages = execFileSync('git', ['ls-files', '*.md'], { cwd: kRoot, encoding: 'utf8' });
    let links = 0;
    for (const page of pages.trim().split('\n')) {
        const text = read(page).replace(/^```.*?^```$/gms, '');
        for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
            if (/^[a-z]+:/.test(target)) {
                continue;
            }
            const [file, anchor] = target.split('#');
            const absolute = file === '' ? page : path.join(path.dirname(page), file);
            assert.ok(fs.existsSync(path.join(kRoot, absolute)), `${page}: ${target}`);
            if (anchor !== undefined) {
                assert.ok(anchorsOf(read(absolute)).includes(anchor), `${page}: ${target}`);
            }
            links += 1;
        }
    }
    assert.ok(links > 30, 'links were found');
});
