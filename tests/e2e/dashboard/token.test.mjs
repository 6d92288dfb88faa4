// The way in: the prompt, wrong tokens, and the ways the token is forgotten.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../support/server.mjs';
import { ConsolePage, isExternal, launchBrowser, needsMock, startTarget } from './console_page.mjs';

const kRefused = [/status of 401/, /status of 429/];

let browser;
before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

async function withPage(options, work) {
    const target = await startTarget(options);
    const console = await ConsolePage.open(browser, target);
    try {
        await work(console, target);
    } finally {
        await console.close();
        await target.close();
    }
}

test('asks for the token first, then shows the page and keeps the token for the tab', () =>
    withPage({}, async (console, target) => {
        const { page } = console;
        const input = page.getByLabel('Observer token', { exact: true });
        await input.waitFor();
        assert.equal(await input.getAttribute('type'), 'password');
        await console.untilFocused(input);
        await console.signIn();
        await page.reload();
        await page.locator('.health').waitFor();
        const kept = await page.evaluate(() => ({
            session: Object.values(sessionStorage),
            local: Object.values(localStorage),
            cookie: document.cookie,
            url: location.href,
        }));
        assert.deepEqual(kept.session, [target.token]);
        assert.deepEqual(kept.local, []);
        assert.equal(kept.cookie, '');
        assert.ok(!kept.url.includes(target.token));
        console.expectClean();
    }));

for (const prefix of ['', '/prekeys', '/a/deep/prefix']) {
    test(`works below the prefix "${prefix}"`, needsMock, () =>
        withPage({ prefix }, async (console, target) => {
            await console.signIn();
            const strays = target.requests.filter(
                ({ pathname }) => !pathname.startsWith(`${prefix}/shade-observer/`),
            );
            assert.deepEqual(strays, []);
            console.expectClean();
        }),
    );
}

test('says that a token is wrong, and takes the right one after', () =>
    withPage({}, async (console) => {
        const { page } = console;
        await console.enterToken('not-the-token-at-all');
        await page.getByRole('alert').filter({ hasText: 'does not accept this token' }).waitFor();
        const input = page.getByLabel('Observer token', { exact: true });
        await console.untilFocused(input);
        assert.equal(await input.getAttribute('aria-invalid'), 'true');
        assert.deepEqual(await page.evaluate(() => Object.values(sessionStorage)), []);
        await console.signIn();
        console.expectClean({ except: kRefused });
    }));

test('asks for something when nothing is entered', () =>
    withPage({}, async (console) => {
        await console.enterToken('  ');
        await console.page.getByRole('alert').filter({ hasText: 'Enter the token' }).waitFor();
        console.expectClean();
    }));

test('counts down after too many wrong tokens', needsMock, () =>
    withPage({}, async (console, target) => {
        target.failures = 10;
        await console.enterToken();
        const alert = console.page.getByRole('alert');
        await alert.filter({ hasText: /Too many wrong tokens.*Wait \d+ s/ }).waitFor();
        assert.ok(await console.page.getByRole('button', { name: 'Open' }).isDisabled());
        console.expectClean({ except: kRefused });
    }),
);

test('forgets the token when the server stops accepting it, and says so', needsMock, () =>
    withPage({}, async (console, target) => {
        await console.signIn();
        target.token = 'changed-on-the-server';
        target.dropConnections();
        await console.page
            .getByRole('alert')
            .filter({ hasText: 'no longer accepts this token' })
            .waitFor();
        assert.deepEqual(await console.page.evaluate(() => Object.values(sessionStorage)), []);
        await console.signIn();
        console.expectClean({ except: [...kRefused, /ERR_/] });
    }),
);

test('locks on demand and closes the event stream', () =>
    withPage({}, async (console, target) => {
        const { page } = console;
        await console.signIn();
        await page.getByRole('button', { name: 'Forget the token' }).click();
        await page.getByLabel('Observer token', { exact: true }).waitFor();
        assert.deepEqual(await page.evaluate(() => Object.values(sessionStorage)), []);
        if (!isExternal) {
            await until(() => target.streams.size === 0, { what: 'the stream is closed' });
        }
        console.expectClean();
    }));

test('says that the observer is off when the server has none', needsMock, () =>
    withPage({}, async (console) => {
        await console.page.route('**/api/state', (route) => route.fulfill({ status: 404 }));
        await console.enterToken();
        await console.page
            .getByRole('alert')
            .filter({ hasText: 'not enabled on this server: set SHADE_OBSERVER_TOKEN' })
            .waitFor();
        console.expectClean({ except: [/status of 404/] });
    }),
);
