// ConsolePage: the operator console in headless Chromium, watched. Everything a page must never do is
// collected while it runs and checked by expectClean(): console errors, uncaught exceptions,
// violations of the Content-Security-Policy, requests to another origin, and the token in a URL.
//
// Runs against the mock observer by default. With NAVE_DASHBOARD_URL and NAVE_OBSERVER_TOKEN it runs
// against a real server; tests that must command the server are then skipped.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import axe from 'axe-core';
import { chromium } from 'playwright-core';
import { until } from '../../support/server.mjs';
import { MockObserver } from './mock_observer.mjs';

const kRoot = fileURLToPath(new URL('../../..', import.meta.url));
const kArtifacts = path.resolve(kRoot, process.env.NAVE_ARTIFACTS ?? 'artifacts');
const kFlags =
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run ' +
    '--disable-background-networking --disable-component-update --disable-sync';

// A page on a machine that is busy with other things: waiting is for a condition, never for speed.
const kPatienceMs = 60_000;

export const kDesktop = { width: 1400, height: 950 };
export const kPhone = { width: 360, height: 780 };

export const isExternal = process.env.NAVE_DASHBOARD_URL !== undefined;
export const needsMock = isExternal ? { skip: 'commands the server, so it needs the mock' } : {};

// What the page is tested against: { dashboardUrl, token, close() }, for the mock also its commands.
export async function startTarget(options = {}) {
    if (!isExternal) {
        const mock = await MockObserver.start(options);
        if (options.feed) {
            mock.fillFeed(options.feed);
        }
        return mock;
    }
    const dashboardUrl = process.env.NAVE_DASHBOARD_URL;
    return {
        dashboardUrl,
        docsUrl: new URL('../../docs', dashboardUrl).href,
        origin: new URL(dashboardUrl).origin,
        token: process.env.NAVE_OBSERVER_TOKEN,
        close: async () => {},
    };
}

export function launchBrowser() {
    return chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: kFlags.split(' '),
        timeout: 2 * kPatienceMs,
    });
}

export class ConsolePage {
    static async open(
        browser,
        target,
        { viewport = kDesktop, theme = 'light', url, fakeClock } = {},
    ) {
        const context = await browser.newContext({
            viewport,
            colorScheme: theme,
            reducedMotion: 'reduce',
            serviceWorkers: 'block',
        });
        context.setDefaultTimeout(kPatienceMs);
        await context.grantPermissions(['clipboard-read', 'clipboard-write']);
        const page = await context.newPage();
        const watched = new ConsolePage(context, page, target);
        await watched.watch();
        if (fakeClock) {
            await page.clock.install();
        }
        await page.goto(url ?? target.dashboardUrl);
        return watched;
    }

    constructor(context, page, target) {
        this.context = context;
        this.page = page;
        this.target = target;
        this.problems = [];
    }

    async watch() {
        const { page } = this;
        page.on('console', (message) => {
            if (message.type() === 'error' || message.type() === 'warning') {
                this.problems.push(`console: ${message.text()}`);
            }
        });
        page.on('pageerror', (error) => this.problems.push(`uncaught: ${error.stack}`));
        page.on('request', (request) => {
            const url = request.url();
            if (!url.startsWith(`${this.target.origin}/`) && !url.startsWith('data:')) {
                this.problems.push(`request to another origin: ${url}`);
            }
            if (url.includes(this.target.token)) {
                this.problems.push(`the token is in a URL: ${url}`);
            }
        });
        await page.exposeFunction('reportViolation', (text) =>
            this.problems.push(`policy violation: ${text}`),
        );
        await page.addInitScript(() => {
            document.addEventListener('securitypolicyviolation', (event) => {
                window.reportViolation(
                    `${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`,
                );
            });
        });
    }

    // `except` names problems a test brings about on purpose, such as a refused request.
    expectClean({ except = [] } = {}) {
        const left = this.problems.filter(
            (problem) => !except.some((pattern) => pattern.test(problem)),
        );
        assert.deepEqual(left, []);
    }

    async enterToken(token = this.target.token) {
        await this.page.getByLabel('Observer token', { exact: true }).fill(token);
        await this.page.getByRole('button', { name: 'Open' }).click();
    }

    // From the prompt to a live page.
    async signIn() {
        await this.enterToken();
        await this.page.locator('.health').waitFor();
        await this.connectionSays('Live');
        return this;
    }

    connectionSays(label) {
        return this.page.getByTestId('connection').filter({ hasText: label }).waitFor();
    }

    text(testId) {
        return this.page.getByTestId(testId).innerText();
    }

    // Waits until the text of an element satisfies `condition`.
    async untilText(testId, condition) {
        let text;
        const satisfied = async () => condition((text = await this.text(testId)));
        await until(satisfied, { deadlineMs: kPatienceMs, everyMs: 50 }).catch(() =>
            assert.fail(`${testId} still says “${text}”`),
        );
        return text;
    }

    // Pages move the focus a moment after they show what gets it.
    untilFocused(locator) {
        return until(() => locator.evaluate((element) => element === document.activeElement), {
            deadlineMs: kPatienceMs,
            what: `the focus is on ${locator}`,
        });
    }

    // Waits until so many elements match.
    untilCount(locator, count) {
        return until(async () => (await locator.count()) === count, {
            deadlineMs: kPatienceMs,
            what: `${locator} are ${count}`,
        });
    }

    async overflow() {
        return this.page.evaluate(
            () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
    }

    // The violations axe finds, one line each.
    async axe() {
        await this.page.evaluate(axe.source);
        return this.page.evaluate(async () => {
            const { violations } = await window.axe.run(document, {
                resultTypes: ['violations'],
            });
            return violations.flatMap(({ id, help, nodes }) =>
                nodes.map((node) => `${id}: ${help}: ${node.target} ${node.failureSummary}`),
            );
        });
    }

    async screenshot(name, { fullPage = true } = {}) {
        const directory = path.join(kArtifacts, 'dashboard');
        fs.mkdirSync(directory, { recursive: true });
        await this.page.screenshot({ path: path.join(directory, `${name}.png`), fullPage });
    }

    close() {
        return this.context.close();
    }
}
