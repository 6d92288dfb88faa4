// The page follows its server: events, restarts, breaks, and what it says while it cannot.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Api, Device } from '../../support/client.mjs';
import { ConsolePage, isExternal, launchBrowser, needsMock, startTarget } from './console_page.mjs';

const kBroken = [/ERR_/, /Failed to load resource/];
const kHash = '0123456789abcdef';

let browser;
before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

async function withLivePage(options, work) {
    const target = await startTarget(options);
    const console = await ConsolePage.open(browser, target, options);
    try {
        await console.signIn();
        await work(console, target);
    } finally {
        await console.close();
        await target.close();
    }
}

const number = (text) => Number(text.match(/[\d,]+/)[0].replaceAll(',', ''));

// A client registers and somebody fetches its bundle: on a real server by really doing so.
async function registerAndFetch(target) {
    if (!isExternal) {
        const device = { addressHash: kHash, suite: 'x3dh-ed25519' };
        target.emit('registered', { ...device, remaining: 3 });
        target.emit('fetched', { ...device, oneTime: 'issued', kem: 'none', remaining: 2 });
        return;
    }
    const service = new URL('../../', target.dashboardUrl);
    const prefix = service.pathname.replace(/\/$/, '');
    const api = new Api(service.origin, { prefix });
    const device = new Device();
    assert.equal((await api.register(device, { oneTime: 3 })).status, 201);
    assert.equal((await api.bundle(device.address)).status, 200);
}

test('shows a registration and a fetch without being asked', () =>
    withLivePage({ profile: 'empty' }, async (console, target) => {
        const before = number(await console.text('identities'));
        await registerAndFetch(target);
        const feed = console.page.getByTestId('feed');
        await feed.locator('[data-type=registered]').first().waitFor();
        await feed.locator('[data-type=fetched]').first().waitFor();
        await console.untilText('identities', (text) => number(text) === before + 1);
        await console.untilText('outcome-issued', (text) => /[1-9].* since start/.test(text));
        await console.untilText('rate-fetches', (text) => !text.startsWith('0'));
        console.expectClean();
    }));

test('shows the events that came before it was opened', needsMock, () =>
    withLivePage({ feed: 40 }, async (console, target) => {
        const feed = console.page.getByTestId('feed');
        await feed.locator('li').nth(39).waitFor();
        assert.equal(await feed.locator('li').count(), 40);
        const { counters } = target.state();
        const issued = await console.text('outcome-issued');
        assert.ok(issued.includes(counters.issued.toLocaleString('en')), issued);
        console.expectClean();
    }),
);

test('takes a burst of events without falling behind', needsMock, () =>
    withLivePage({}, async (console, target) => {
        const { issued } = target.state().counters;
        const fetched = { addressHash: kHash, oneTime: 'issued', kem: 'none', remaining: 5 };
        for (let sent = 0; sent < 3000; sent += 1) {
            target.emit('fetched', fetched);
        }
        await console.untilText('outcome-issued', (text) =>
            text.includes((issued + 3000).toLocaleString('en')),
        );
        const rows = await console.page.getByTestId('feed').locator('li').count();
        assert.ok(rows <= 100, `${rows} rows`);
        console.expectClean();
    }),
);

test('raises an alert when something happens, and says it once to screen readers', needsMock, () =>
    withLivePage({}, async (console, target) => {
        assert.equal(await console.text('verdict'), 'Everything is in order');
        target.emit('identity_conflict', { addressHash: kHash });
        await console.page.getByTestId('alert-conflict').waitFor();
        assert.match(await console.text('verdict'), /1 thing needs attention/);
        const spoken = console.page.locator('[aria-live=polite]');
        await spoken.filter({ hasText: 'claimed with another identity key' }).waitFor();
        console.expectClean();
    }),
);

test('resumes after a broken connection where it stopped', needsMock, () =>
    withLivePage({}, async (console, target) => {
        const id = target.emit('deleted', { addressHash: kHash });
        const feed = console.page.getByTestId('feed');
        await feed.locator('[data-type=deleted]').waitFor();
        target.requests.length = 0;
        target.dropConnections();
        target.emit('purged', { count: 3 });
        await feed.locator('[data-type=purged]').waitFor();
        await console.connectionSays('Live');
        const resumed = target.requests.find(({ pathname }) => pathname.endsWith('/api/events'));
        assert.equal(resumed.headers['last-event-id'], String(id));
        assert.equal(await feed.locator('[data-type=deleted]').count(), 1);
        console.expectClean({ except: kBroken });
    }),
);

test('says how old the figures are while the server is away, and recovers', needsMock, () =>
    withLivePage({}, async (console, target) => {
        await target.goAway();
        const banner = console.page.getByTestId('stale-banner');
        await banner.filter({ hasText: /These figures are \d+ seconds old/ }).waitFor();
        await console.connectionSays('Not live');
        await console.screenshot('stale', { fullPage: false });
        assert.deepEqual(await console.axe(), []);
        await target.comeBack();
        await console.connectionSays('Live');
        await banner.waitFor({ state: 'detached' });
        console.expectClean({ except: kBroken });
    }),
);

test('tries at once when asked to', needsMock, () =>
    withLivePage({ fakeClock: true }, async (console, target) => {
        const { page } = console;
        await target.goAway();
        await page.getByTestId('stale-banner').waitFor();
        // With its clock standing still the page tries nothing of its own accord.
        await page.clock.pauseAt(Date.now() + 60_000);
        await target.comeBack();
        await page.getByRole('button', { name: 'Try now' }).click();
        await console.connectionSays('Live');
        console.expectClean({ except: kBroken });
    }),
);

test('notices a restart, loads the state anew and keeps the feed', needsMock, () =>
    withLivePage({ profile: 'empty' }, async (console, target) => {
        const { page } = console;
        target.emit('registered', { addressHash: kHash, suite: 'x3dh-ed25519', remaining: 3 });
        await page.getByTestId('feed').locator('[data-type=registered]').waitFor();
        await target.goAway();
        await target.comeBack({ restarted: true });
        const feed = page.getByTestId('feed');
        await feed.locator('[data-type=restarted]').waitFor();
        await console.connectionSays('Live');
        assert.match(await console.text('uptime'), /^Up \d+ s$/);
        assert.equal(await feed.locator('[data-type=registered]').count(), 1);
        target.emit('fetched', { addressHash: kHash, oneTime: 'exhausted', kem: 'none' });
        await feed.locator('[data-type=fetched]').waitFor();
        await console.untilText('outcome-exhausted', (text) => text.includes('1 since start'));
        console.expectClean({ except: kBroken });
    }),
);

test('reloads the state when events were lost', needsMock, () =>
    withLivePage({}, async (console, target) => {
        await target.goAway();
        for (let sent = 0; sent < 1500; sent += 1) {
            target.emit('registered', { addressHash: kHash, suite: 'x3dh-ed25519' });
        }
        const { identities } = target.state().totals;
        await target.comeBack();
        await console.untilText('identities', (text) => number(text) === identities);
        await console.page.getByTestId('feed').locator('[data-type=registered]').first().waitFor();
        await console.page.getByTestId('chip-reset').waitFor();
        console.expectClean({ except: kBroken });
    }),
);

test('tells when the events arrive but the state does not', needsMock, () =>
    withLivePage({ fakeClock: true }, async (console, target) => {
        const { page } = console;
        const feed = page.getByTestId('feed');
        target.stateFails = true;
        for (let sent = 1; sent <= 12; sent += 1) {
            target.emit('deleted', { addressHash: kHash });
            await page.clock.runFor(6000);
            await page
                .getByTestId('chip-deleted')
                .filter({ hasText: `${sent}` })
                .waitFor();
        }
        assert.equal(await feed.locator('[data-type=deleted]').count(), 12);
        await page
            .getByTestId('stale-banner')
            .filter({ hasText: /the totals are .* old: The server answered 503/ })
            .waitFor();
        console.expectClean({ except: kBroken });
    }),
);
