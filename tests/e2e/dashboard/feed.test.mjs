// The event feed: filters by type and text, pause, more.
import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { ConsolePage, launchBrowser, needsMock, startTarget } from './console_page.mjs';

let browser;
let target;
let console;
let feed;

before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

beforeEach(async (context) => {
    if (needsMock.skip) {
        return context.skip?.(needsMock.skip);
    }
    target = await startTarget({ profile: 'empty' });
    for (let index = 0; index < 20; index += 1) {
        const addressHash = index.toString(16).padStart(16, 'a');
        target.emit('registered', { addressHash, suite: 'x3dh-ed25519', remaining: 9 });
        target.emit('fetched', { addressHash, oneTime: 'issued', kem: 'none', remaining: 8 });
    }
    target.emit('rate_limited', { limit: 'fetch', ipPrefixHash: 'feedfeedfeedfeed' });
    console = await ConsolePage.open(browser, target);
    await console.signIn();
    feed = console.page.getByTestId('feed');
    await feed.locator('li').nth(40).waitFor();
});

afterEach(async () => {
    await console?.close();
    await target?.close();
});

const untilRows = (count) => console.untilCount(feed.locator('li'), count);

test('filters by type, by several types, and back to all', needsMock, async () => {
    await console.page.getByTestId('chip-rate_limited').click();
    await untilRows(1);
    await console.page.getByTestId('chip-fetched').click();
    await untilRows(21);
    const pressed = console.page.locator('.chip[aria-pressed=true]');
    const texts = (await pressed.allInnerTexts()).map((text) => text.replaceAll(/\s+/g, ' '));
    assert.deepEqual(texts, ['Fetched 20', 'Rate limited 1']);
    await console.page.getByRole('button', { name: /^All/ }).click();
    await untilRows(41);
    console.expectClean();
});

test('filters by text and says when nothing matches', needsMock, async () => {
    const search = console.page.getByRole('searchbox', { name: 'Filter events by text' });
    await search.fill('FEEDFEED');
    await untilRows(1);
    await search.fill('aaaaaaaaaaaaaa13');
    await untilRows(2);
    await search.fill('no such thing');
    await console.page.getByText('No event matches.').waitFor();
    await search.fill('');
    await untilRows(41);
    console.expectClean();
});

test(
    'pauses: the list stands still, counts what it misses, and catches up',
    needsMock,
    async () => {
        const pause = console.page.getByTestId('pause');
        await pause.click();
        assert.equal(await pause.getAttribute('aria-pressed'), 'true');
        const first = await feed.locator('li').first().innerText();
        target.emit('deleted', { addressHash: 'b'.repeat(16) });
        target.emit('deleted', { addressHash: 'c'.repeat(16) });
        await console.untilText(
            'paused',
            (text) => text === 'Paused. 2 events have arrived since.',
        );
        await untilRows(41);
        assert.equal(await feed.locator('li').first().innerText(), first);
        await pause.click();
        await feed.locator('[data-type=deleted]').nth(1).waitFor();
        await untilRows(43);
        console.expectClean();
    },
);

test('shows long lists in portions and keeps memory bounded', needsMock, async () => {
    for (let index = 0; index < 1600; index += 1) {
        target.emit('deleted', { addressHash: 'd'.repeat(16) });
    }
    const all = console.page.getByRole('button', { name: /^All/ });
    await all.filter({ hasText: '1,500' }).waitFor();
    await untilRows(60);
    await console.page.getByRole('button', { name: 'Show more (1,440 left)' }).click();
    await untilRows(300);
    console.expectClean();
});
