// What the page looks like and who can use it: themes, narrow screens, keyboard, axe. Leaves pictures
// of every state in the artefact directory.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    ConsolePage,
    isExternal,
    kDesktop,
    kPhone,
    launchBrowser,
    needsMock,
    startTarget,
} from './console_page.mjs';

let browser;
before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

async function withPage(options, work) {
    const target = await startTarget(options);
    const console = await ConsolePage.open(browser, target, options);
    try {
        await work(console, target);
    } finally {
        await console.close();
        await target.close();
    }
}

const kProfiles = isExternal ? ['real'] : ['empty', 'busy', 'troubled'];
const kScreens = { desktop: kDesktop, phone: kPhone };

function trouble(target) {
    const hashes = { addressHash: '00ff00ff00ff00ff', ipPrefixHash: 'abababababababab' };
    target.emit('depletion_suspected', { ...hashes, remaining: 3 });
    target.emit('identity_conflict', { addressHash: '1122334455667788' });
}

for (const theme of ['light', 'dark']) {
    for (const [screen, viewport] of Object.entries(kScreens)) {
        test(`the prompt is accessible and fits: ${theme}, ${screen}`, () =>
            withPage({ theme, viewport }, async (console) => {
                await console.page.getByLabel('Observer token', { exact: true }).waitFor();
                assert.deepEqual(await console.axe(), []);
                assert.equal(await console.overflow(), 0);
                await console.screenshot(`prompt-${theme}-${screen}`);
                console.expectClean();
            }));

        for (const profile of kProfiles) {
            test(`the page is accessible and fits: ${profile}, ${theme}, ${screen}`, () => {
                const feed = profile === 'empty' ? 0 : 150;
                return withPage({ profile, feed, theme, viewport }, async (console, target) => {
                    if (profile === 'troubled') {
                        trouble(target);
                    }
                    await console.signIn();
                    await console.page.waitForTimeout(300);
                    assert.deepEqual(await console.axe(), []);
                    assert.equal(await console.overflow(), 0);
                    await console.screenshot(`${profile}-${theme}-${screen}`);
                    console.expectClean();
                });
            });
        }
    }
}

test('an open explanation is accessible and stays on a narrow screen', () =>
    withPage({ viewport: kPhone }, async (console) => {
        await console.signIn();
        const ask = console.page.getByRole('button', { name: 'What is “Requests”?' });
        await ask.click();
        const text = console.page.getByRole('note').filter({ hasText: 'How often bundles' });
        await text.waitFor();
        const box = await text.boundingBox();
        assert.ok(box.x >= 0 && box.x + box.width <= kPhone.width, JSON.stringify(box));
        assert.equal(await console.overflow(), 0);
        assert.deepEqual(await console.axe(), []);
        await console.page.keyboard.press('Escape');
        await text.waitFor({ state: 'hidden' });
        console.expectClean();
    }));

test('the theme follows the system, can be chosen, and is remembered without a flash', () =>
    withPage({ theme: 'dark' }, async (console) => {
        const { page } = console;
        const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const button = page.getByTestId('theme');
        const dark = await ground();
        await page.emulateMedia({ colorScheme: 'light' });
        const light = await ground();
        assert.notEqual(dark, light);
        await button.click();
        await button.click();
        assert.match(await button.getAttribute('aria-label'), /^Theme: dark/);
        assert.equal(await ground(), dark);
        await page.reload({ waitUntil: 'commit' });
        await page.locator('body').waitFor({ state: 'attached' });
        assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
        await button.waitFor();
        assert.equal(await ground(), dark);
        await button.click();
        assert.equal(await ground(), light);
        assert.equal(await page.evaluate(() => localStorage.length), 0);
        console.expectClean();
    }));

test('charts are repainted in the colours of the new theme', () =>
    withPage({ profile: 'busy' }, async (console) => {
        await console.signIn();
        const canvas = console.page.locator('.plot canvas').first();
        const picture = () => canvas.evaluate((element) => element.toDataURL());
        const light = await picture();
        await console.page.emulateMedia({ colorScheme: 'dark' });
        await console.page.waitForFunction(
            (former) => document.querySelector('.plot canvas').toDataURL() !== former,
            light,
        );
        console.expectClean();
    }));

test('everything can be done with the keyboard', needsMock, () =>
    withPage({ profile: 'busy', feed: 30 }, async (console) => {
        const { page } = console;
        const press = (key) => page.keyboard.press(key);
        const focused = () =>
            page.evaluate(() => {
                const { activeElement: element } = document;
                return element.getAttribute('aria-label') ?? element.textContent.trim();
            });
        const tabTo = async (name) => {
            for (let step = 0; step < 120; step += 1) {
                if (name.test(await focused())) {
                    const outline = await page.evaluate(() => {
                        const { activeElement: element } = document;
                        const shown = element.type === 'radio' ? element.parentElement : element;
                        return getComputedStyle(shown).outlineStyle;
                    });
                    assert.notEqual(outline, 'none', `${name} shows no focus`);
                    return;
                }
                await press('Tab');
            }
            assert.fail(`${name} cannot be reached, last was “${await focused()}”`);
        };

        const input = page.getByLabel('Observer token', { exact: true });
        await console.untilFocused(input);
        await page.keyboard.type(console.target.token);
        await press('Enter');
        await console.connectionSays('Live');

        await console.untilFocused(page.locator('#main'));
        await page.reload();
        await console.connectionSays('Live');
        await press('Tab');
        assert.equal(await focused(), 'Skip to content');
        await press('Enter');
        await console.untilFocused(page.locator('#main'));

        await tabTo(/^What is “Requests”/);
        await press('Enter');
        await page.getByRole('note').filter({ hasText: 'How often bundles' }).waitFor();
        await press('Escape');

        await tabTo(/^Fetches over time/);
        await press('ArrowLeft');
        await press('ArrowLeft');
        await page
            .locator('[aria-live=polite]')
            .filter({ hasText: /\d\d:\d\d:\d\d: Fetches/ })
            .waitFor();
        await press('Tab');
        assert.equal(await focused(), 'Table');
        await press('Enter');
        await page.getByRole('group', { name: 'Fetches over time, table' }).waitFor();

        await tabTo(/^Show all 50 identities/);
        await press('Enter');
        await console.untilCount(page.locator('.rows-table tbody tr'), 50);

        await tabTo(/^Filter events by text/);
        await page.keyboard.type('pqxdh');
        await tabTo(/^Pause/);
        await press('Space');
        await page.getByTestId('paused').waitFor();
        await tabTo(/^Replenished/);
        await press('Space');
        await page.locator('[data-testid=chip-replenished][aria-pressed=true]').waitFor();

        await page.evaluate(() => document.querySelector('.topbar a').focus());
        await tabTo(/^Forget the token/);
        await press('Enter');
        await console.untilFocused(input);
        console.expectClean();
    }),
);

test('the time span of the charts changes with arrow keys', () =>
    withPage({ profile: 'busy' }, async (console) => {
        await console.signIn();
        const half = console.page.getByRole('radio', { name: '30 min' });
        await half.focus();
        await console.page.keyboard.press('ArrowLeft');
        await console.untilCount(console.page.getByRole('radio', { name: '15 min', checked: true }), 1);
        console.expectClean();
    }));

test('the first steps are shown until somebody registers, and copy', needsMock, () =>
    withPage({ profile: 'empty', prefix: '/prekeys' }, async (console, target) => {
        const { page } = console;
        await console.signIn();
        const steps = page.getByTestId('first-steps');
        await steps.getByRole('button', { name: 'Copy: Fetch the bundle of an address' }).click();
        await steps.getByRole('button', { name: /Copied|Copy: Fetch/ }).waitFor();
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        assert.equal(copied, `curl -si ${target.origin}/prekeys/v1/keys/bundle/alice:1`);
        const reference = await steps
            .getByRole('link', { name: 'API reference' })
            .getAttribute('href');
        assert.equal(reference, `${target.origin}/prekeys/docs`);
        target.emit('registered', { addressHash: 'e'.repeat(16), suite: 'x3dh-ed25519' });
        await steps.waitFor({ state: 'detached' });
        console.expectClean();
    }),
);
