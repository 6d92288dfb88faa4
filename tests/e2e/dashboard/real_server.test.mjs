// The console against the real binary: what a client does appears on the page, alone and behind the
// prefix of several services, and the page survives the server being stopped, started and killed.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { Api, Device } from '../../support/client.mjs';
import { Server, binary } from '../../support/server.mjs';
import { ConsolePage, isExternal, launchBrowser } from './console_page.mjs';
import { TcpFront } from './tcp_front.mjs';

const kToken = 'token-of-the-console-tests';
const kBroken = [/ERR_/, /Failed to load resource/];
const needsBinary =
    isExternal || !fs.existsSync(binary())
        ? { skip: isExternal ? 'a server is given' : `NOT RUN: no binary at ${binary()}` }
        : {};
if (needsBinary.skip && process.env.NAVE_REQUIRE_SERVICES && !isExternal) {
    throw new Error(needsBinary.skip);
}

let browser;
before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

async function withServer({ services = ['prekeys'], prefix = '' }, work) {
    const server = await Server.start({ services, env: { SHADE_OBSERVER_TOKEN: kToken } });
    const front = await TcpFront.open(server.port);
    const console = await ConsolePage.open(browser, {
        origin: front.url,
        dashboardUrl: `${front.url}${prefix}/shade-observer/dashboard/`,
        token: kToken,
    });
    try {
        await console.signIn();
        await work({ console, server, front, api: new Api(front.url, { prefix }) });
    } finally {
        await console.close();
        await front.close();
        server.dispose();
    }
}

async function registerAndFetch(api, fetches = 1) {
    const device = new Device();
    assert.equal((await api.register(device, { oneTime: 3 })).status, 201);
    for (let fetched = 0; fetched < fetches; fetched += 1) {
        assert.equal((await api.bundle(device.address)).status, 200);
    }
    return device;
}

const rows = (console, type) => console.page.getByTestId('feed').locator(`[data-type=${type}]`);

for (const [services, prefix] of [
    [['prekeys'], ''],
    [[], '/prekeys'],
]) {
    const name = prefix === '' ? 'alone' : `below ${prefix}`;
    test(`a client's work appears on the page, ${name}`, needsBinary, () =>
        withServer({ services, prefix }, async ({ console, api }) => {
            await console.page.getByTestId('first-steps').waitFor();
            const device = await registerAndFetch(api, 4);
            await rows(console, 'registered').first().waitFor();
            await rows(console, 'fetched').nth(3).waitFor();
            await console.untilText('identities', (text) => text.includes('1'));
            await console.page.getByTestId('first-steps').waitFor({ state: 'detached' });
            await console.untilText('outcome-issued', (text) => !text.includes('0 since start'));
            const page = await console.page.evaluate(() => document.body.innerText);
            assert.ok(!page.includes(device.address), 'the address is shown in clear');
            assert.deepEqual(await console.axe(), []);
            console.expectClean();
        }),
    );
}

test('the page comes back after the server was killed and started again', needsBinary, () =>
    withServer({}, async ({ console, server, front, api }) => {
        await registerAndFetch(api);
        await rows(console, 'registered').first().waitFor();
        await server.kill();
        await console.connectionSays('Not live');
        await server.launch();
        front.targetPort = server.port;
        await console.connectionSays('Live');
        await rows(console, 'restarted').waitFor();
        assert.equal(await rows(console, 'registered').count(), 1);
        await console.untilText('identities', (text) => text.includes('1'));
        await console.untilText('outcome-issued', (text) => text.includes('0 since start'));
        await registerAndFetch(api);
        await rows(console, 'registered').nth(1).waitFor();
        console.expectClean({ except: kBroken });
    }),
);

test('the reference is rendered under the policy the binary sends', needsBinary, async () => {
    const server = await Server.start({ services: [] });
    const target = { origin: server.url, token: kToken };
    const url = `${server.url}/prekeys/docs`;
    const console = await ConsolePage.open(browser, target, { url });
    try {
        await console.page.getByRole('heading', { name: /Nave prekeys/ }).waitFor();
        await console.page.getByText('/v1/keys/register').first().waitFor({ state: 'attached' });
        console.expectClean();
    } finally {
        await console.close();
        server.dispose();
    }
});
