// The broker's page of the console against the real binary with real peers: what they do shows without
// being asked, on its own and behind the prefix of several services, in both themes and on a phone, and
// after the server was stopped, killed and started again.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { BrokerAdmin, peerKeys } from '../../support/broker_peer.mjs';
import { Scene } from '../../support/broker_scene.mjs';
import { binary, runCommand, Server, until } from '../../support/server.mjs';
import { ConsolePage, isExternal, kDesktop, kPhone, launchBrowser } from './console_page.mjs';
import { TcpFront } from './tcp_front.mjs';

const kToken = 'token-of-the-broker-console-tests';
const kAdminToken = 'token-of-the-console-administrator';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
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

// A broker behind a front whose port stays, with its admin API. `url` is where peers connect.
class Target {
    static async start({ services = ['broker'], prefix = '', env = {} } = {}) {
        const target = new Target();
        target.server = await Server.start({
            services,
            env: {
                BROKER_ADMIN_TOKEN: kAdminToken,
                BROKER_OBSERVER_TOKEN: kToken,
                SHADE_OBSERVER_TOKEN: kToken,
                ...env,
            },
        });
        target.front = await TcpFront.open(target.server.port);
        target.origin = target.front.url;
        target.url = `${target.origin}${prefix}`;
        target.dashboardUrl = `${target.url}/observer/`;
        target.token = kToken;
        target.admin = new BrokerAdmin(target.url, kAdminToken);
        return target;
    }

    // Members of a new mesh; `peer()` connects them through the front.
    scene(...names) {
        return Scene.make({ admin: this.admin, server: { url: this.url } }, ...names);
    }

    async comeBack() {
        await this.server.launch();
        this.front.targetPort = this.server.port;
    }

    async close() {
        await this.front.close();
        this.server.dispose();
    }
}

async function withTarget(options, work) {
    const target = await Target.start(options);
    try {
        await work(target);
    } finally {
        await target.close();
    }
}

function withConsole(options, work) {
    return withTarget(options, async (target) => {
        const console = await ConsolePage.open(browser, target, options);
        try {
            await console.signIn();
            await work(console, target);
        } finally {
            await console.close();
        }
    });
}

// Rates are of the last ten seconds: a page that is slow to show them finds nothing, unless it goes on.
async function whileSending(peer, target, work) {
    const shown = work();
    let isShown = false;
    const done = shown.finally(() => (isShown = true));
    done.catch(() => undefined);
    while (!isShown) {
        await peer.envelope(target, 'one more');
        await Promise.race([done, pause(500)]);
    }
    return shown;
}

const rowOf = (console, peer) => console.page.locator(`[data-peer="${peer}"]`);
const events = (console, type) => console.page.getByTestId('feed').locator(`[data-type=${type}]`);
const number = (text) => Number(text.match(/[\d,]+/)[0].replaceAll(',', ''));

for (const [services, prefix] of [
    [['broker'], ''],
    [[], '/broker'],
]) {
    const name = prefix === '' ? 'alone' : `below ${prefix}`;
    test(`peers appear, change and leave without being asked for, ${name}`, needsBinary, () =>
        withConsole({ services, prefix }, async (console, target) => {
            const { page } = console;
            await page.getByTestId('first-steps').waitFor();
            const scene = await target.scene('ada', 'bob');
            await page.getByTestId('first-steps').waitFor({ state: 'detached' });
            await page.locator(`[data-mesh="${scene.mesh.slug}"]`).waitFor();
            const ada = await scene.peer(scene.ada, { groups: [{ name: 'front' }] });
            await rowOf(console, 'ada').waitFor();
            await events(console, 'peer_joined').first().waitFor();
            await console.untilText('connected', (text) => number(text) === 1);
            await rowOf(console, 'ada').filter({ hasText: '@front' }).waitFor();
            ada.send({ type: 'set_status', status: 'dnd' });
            await rowOf(console, 'ada').filter({ hasText: 'Do not disturb' }).waitFor();
            await events(console, 'status_changed').first().waitFor();
            await ada.close();
            await rowOf(console, 'ada').filter({ hasText: 'Away' }).waitFor();
            await target.admin.call(
                'DELETE',
                `/admin/meshes/${scene.mesh.id}/members/${scene.ada.id}`,
            );
            await rowOf(console, 'ada').waitFor({ state: 'detached' });
            await events(console, 'peer_left').first().waitFor();
            await page.getByTestId('no-peers').waitFor();
            console.expectClean();
        }),
    );
}

test('what waits for an absent peer is shown, and that it is delivered', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const scene = await target.scene('ada', 'bob');
        const ada = await scene.peer(scene.ada);
        await console.untilText('depth', (text) => number(text) === 0);
        for (let sent = 0; sent < 3; sent += 1) {
            await ada.envelope(scene.bob.keys.hex, `envelope ${sent}`);
        }
        await console.untilText('depth', (text) => number(text) === 3);
        await console.untilText('oldest', (text) => /\d+ s/.test(text));
        await console.untilText('chart-depth', (text) => number(text) === 3);
        const waiting = console.page
            .locator(`[data-mesh="${scene.mesh.slug}"]`)
            .locator('[data-label=Waiting]');
        assert.equal(await waiting.innerText(), '3');
        const bob = await scene.peer(scene.bob);
        await bob.push('envelope 2');
        await console.untilText('depth', (text) => number(text) === 0);
        await console.untilText('oldest', (text) => text.includes('nothing waits'));
        await whileSending(ada, bob.key, () =>
            console.untilText('deliveries', (text) => !text.startsWith('0')),
        );
        console.expectClean();
    }),
);

test('a slow consumer is marked, named and counted', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const { page } = console;
        const scene = await target.scene('ada', 'bob');
        const ada = await scene.peer(scene.ada);
        const bob = await scene.peer(scene.bob);
        await ada.envelope(scene.bob.keys.hex, 'first');
        const first = await bob.push('first');
        bob.send({ type: 'client_ack', brokerMessageId: first.messageId });
        await rowOf(console, 'bob').filter({ hasText: /(?<!not )acknowledges/ }).waitFor();
        await ada.envelope(scene.bob.keys.hex, 'second');
        const second = await bob.push('second');
        await page.getByTestId('alert-slow').filter({ hasText: 'bob' }).waitFor();
        await page.locator('[data-peer=bob][data-slow=true]').waitFor();
        await console.untilText('slow', (text) => number(text) === 1);
        await page.locator('[aria-live=polite]').filter({ hasText: '1 slow consumer' }).waitFor();
        assert.deepEqual(await console.axe(), []);
        bob.send({ type: 'client_ack', brokerMessageId: second.messageId });
        await page.getByTestId('alert-slow').waitFor({ state: 'detached' });
        await console.untilText('slow', (text) => number(text) === 0);
        console.expectClean();
    }),
);

test('refusals are counted by reason', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const { page } = console;
        const scene = await target.scene('ada');
        await page.getByTestId('no-refusals').waitFor();
        const late = await scene.stranger(scene.ada);
        late.send(late.helloMessage({ timestamp: Date.now() - 600_000 }));
        await late.closed;
        await page.locator('.ranking li').filter({ hasText: 'Clock off by more' }).waitFor();
        await events(console, 'hello_refused').waitFor();
        const ada = await scene.peer(scene.ada);
        ada.socket.send('no json');
        await events(console, 'messages_rejected')
            .filter({ hasText: 'malformed messages' })
            .waitFor();
        console.expectClean();
    }),
);

test('peers are filtered and ordered, the feed is filtered and paused', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const { page } = console;
        const scene = await target.scene('ada', 'bob', 'cyd');
        const peers = [];
        for (const name of ['bob', 'cyd', 'ada']) {
            const groups = name === 'cyd' ? [{ name: 'ops' }] : [];
            peers.push(await scene.peer(scene[name], { groups }));
        }
        await page.getByTestId('peers').locator('tbody tr').nth(2).waitFor();
        const shown = () =>
            page
                .getByTestId('peers')
                .locator('tbody tr')
                .evaluateAll((rows) => rows.map((row) => row.dataset.peer));
        const untilShown = (...names) =>
            until(async () => (await shown()).join() === names.join(), { what: `${names}` });
        await untilShown('ada', 'bob', 'cyd');
        const heading = page.getByRole('columnheader', { name: 'Peer' });
        assert.equal(await heading.getAttribute('aria-sort'), 'ascending');
        await heading.getByRole('button').focus();
        await page.keyboard.press('Enter');
        await untilShown('cyd', 'bob', 'ada');
        assert.equal(await heading.getAttribute('aria-sort'), 'descending');
        await page.getByLabel('Filter peers').fill('@ops');
        await untilShown('cyd');
        await page.getByLabel('Filter peers').fill('nobody of this name');
        await page.getByTestId('no-peers').waitFor();
        await page.getByLabel('Filter peers').fill('');

        await events(console, 'peer_joined').nth(2).waitFor();
        await page.getByTestId('pause').click();
        await page.getByTestId('paused').waitFor();
        peers[0].send({ type: 'set_status', status: 'working' });
        await page.getByTestId('paused').filter({ hasText: /[1-9]\d* events? ha/ }).waitFor();
        assert.equal(await events(console, 'status_changed').count(), 0);
        await page.getByTestId('pause').click();
        await events(console, 'status_changed').waitFor();
        await page.getByTestId('chip-status_changed').click();
        await events(console, 'peer_joined').first().waitFor({ state: 'detached' });
        await page.getByLabel('Filter events by text').fill('bob');
        await events(console, 'status_changed').waitFor();
        await page.getByLabel('Filter events by text').fill('cyd');
        await page.getByText('No event matches.').waitFor();
        console.expectClean();
    }),
);

test('the page comes back after the server was killed and started again', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const { page } = console;
        const scene = await target.scene('ada', 'bob');
        const ada = await scene.peer(scene.ada);
        await ada.envelope(scene.bob.keys.hex, 'kept');
        await rowOf(console, 'ada').waitFor();
        await target.server.kill();
        await console.connectionSays('Not live');
        await page.getByTestId('stale-banner').filter({ hasText: 'seconds old' }).waitFor();
        await console.screenshot('broker-stale', { fullPage: false });
        await target.comeBack();
        await console.connectionSays('Live');
        await events(console, 'restarted').waitFor();
        await rowOf(console, 'ada').waitFor({ state: 'detached' });
        await console.untilText('depth', (text) => number(text) === 1);
        assert.equal(await events(console, 'peer_joined').count(), 1);
        await scene.peer(scene.ada);
        await rowOf(console, 'ada').waitFor();
        await events(console, 'peer_joined').nth(1).waitFor();
        console.expectClean({ except: kBroken });
    }),
);

test('asks for its own token, and says when the observer is off', needsBinary, async () => {
    await withTarget({}, async (target) => {
        const console = await ConsolePage.open(browser, target);
        await console.page.getByText('BROKER_OBSERVER_TOKEN').waitFor();
        await console.enterToken('not-the-token-at-all');
        await console.page.getByRole('alert').filter({ hasText: 'does not accept' }).waitFor();
        await console.signIn();
        assert.equal(await console.page.getByRole('navigation', { name: 'Services' }).innerText(), 'Broker');
        console.expectClean({ except: [/status of 401/] });
        await console.close();
    });
    const env = { BROKER_OBSERVER_TOKEN: '' };
    await withTarget({ services: [], prefix: '/broker', env }, async (target) => {
        const url = `${target.origin}/prekeys/shade-observer/dashboard/#/broker`;
        const console = await ConsolePage.open(browser, target, { url });
        await console.enterToken();
        await console.page
            .getByRole('alert')
            .filter({ hasText: 'not enabled on this server: set BROKER_OBSERVER_TOKEN' })
            .waitFor();
        console.expectClean({ except: [/status of 404/] });
        await console.close();
    });
});

test('one console shows the pages of all services beside each other', needsBinary, () =>
    withConsole({ services: [], prefix: '/broker' }, async (console) => {
        const { page } = console;
        const services = page.getByRole('navigation', { name: 'Services' });
        await services.getByRole('link', { name: 'Prekeys' }).click();
        await page.getByText('SHADE_OBSERVER_TOKEN').waitFor();
        await console.enterToken();
        await page.getByRole('heading', { name: 'Prekeys', level: 1 }).waitFor();
        await console.connectionSays('Live');
        await services.getByRole('link', { name: 'Broker' }).click();
        await page.getByRole('heading', { name: 'Broker', level: 1 }).waitFor();
        await console.connectionSays('Live');
        console.expectClean();
    }),
);

test('the first steps make a mesh and an invite as they are', needsBinary, () =>
    withConsole({}, async (console, target) => {
        const { page } = console;
        const steps = page.getByTestId('first-steps');
        const environment = { NAVE_DATA_DIR: target.server.dataDir };
        for (const label of ['Make a mesh', 'Make an invite']) {
            await steps.getByRole('button', { name: `Copy: ${label}` }).click();
            const copied = await until(async () => {
                const text = await page.evaluate(() => navigator.clipboard.readText());
                return text.startsWith('nave broker') && text;
            });
            await page.evaluate(() => navigator.clipboard.writeText(''));
            const [, ...args] = copied.split(' ');
            const run = await runCommand(args, { env: environment });
            assert.equal(run.code, 0, run.stderr);
            if (label === 'Make an invite') {
                assert.match(run.stdout, /\S{40}/);
                assert.ok(copied.endsWith(`--url ws://${new URL(target.origin).host}/ws`));
            }
        }
        await steps.waitFor({ state: 'detached' });
        await page.locator('[data-mesh=team]').waitFor();
        console.expectClean();
    }),
);

// A mesh at work: peers in several states, traffic, a queue, refusals.
async function populate(target) {
    const names = ['ada', 'bob', 'cyd', 'dan', 'eva', 'fay', 'gil', 'hal', 'ida', 'jon'];
    const scene = await target.scene(...names);
    await target.scene('solo');
    const peers = {};
    for (const [index, name] of names.slice(0, 8).entries()) {
        const groups = [{ name: index % 2 ? 'front' : 'back' }, { name: 'all-hands' }];
        const session = index % 3 === 0 ? peerKeys() : undefined;
        peers[name] = await scene.peer(scene[name], { groups, session });
    }
    peers.bob.send({ type: 'set_status', status: 'working' });
    peers.cyd.send({ type: 'set_status', status: 'dnd' });
    for (let round = 0; round < 6; round += 1) {
        for (const from of ['ada', 'dan', 'eva']) {
            await peers[from].envelope('*', `round ${round}`);
            await peers[from].envelope(scene.ida.keys.hex, `for later ${round}`);
        }
    }
    peers.ada.socket.send('no json');
    const late = await scene.stranger(scene.jon);
    late.send(late.helloMessage({ timestamp: Date.now() - 600_000 }));
    await late.closed;
    await peers.hal.cut();
    return peers;
}

for (const theme of ['light', 'dark']) {
    for (const [screen, viewport] of Object.entries({ desktop: kDesktop, phone: kPhone })) {
        test(`the page is accessible and fits: ${theme}, ${screen}`, needsBinary, () =>
            withConsole({ theme, viewport }, async (console, target) => {
                await console.page.getByTestId('first-steps').waitFor();
                assert.deepEqual(await console.axe(), []);
                assert.equal(await console.overflow(), 0);
                await console.screenshot(`broker-empty-${theme}-${screen}`);
                const { ada } = await populate(target);
                await rowOf(console, 'hal').filter({ hasText: 'Away' }).waitFor();
                await console.untilText('depth', (text) => number(text) >= 18);
                await whileSending(ada, '*', async () => {
                    const isQuiet = (text) => text.startsWith('Deliveries\n0');
                    await console.untilText('rate-pushed', (text) => !isQuiet(text));
                    await console.untilText('deliveries', (text) => !text.startsWith('0'));
                });
                assert.deepEqual(await console.axe(), []);
                assert.equal(await console.overflow(), 0);
                await console.screenshot(`broker-busy-${theme}-${screen}`);
                console.expectClean();
            }),
        );
    }
}
