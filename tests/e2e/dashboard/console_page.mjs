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
import { MockObserver } from './mock_observer.mjs';

const kRoot = fileURLToPath(new URL('../../..', import.meta.url));
const kArtifacts = path.resolve(kRoot, process.env.NAVE_ARTIFACTS ?? 'artifacts');
const kFlags =
    '--headless --no-sandbox --disable-gpu --disable-quic --no-first-run ' +
    '--disable-background-networking --disable-component-update --disable-sync';

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
        return this.page
            .getByTestId('connection')
            .filter({ hasText: label })
            .waitFor({ timeout: 20_000 });
    }

    text(testId) {
        return this.page.getByTestId(testId).innerText();
    }

    // Waits until the text of an element satisfies `condition`.
    async untilText(testId, condition, timeout = 15_000) {
        const end = Date.now() + timeout;
        let text;
        do {
            text = await this.text(testId);
            if (condition(text)) {
                return text;
            }
            await this.page.waitForTimeout(50);
        } while (Date.now() < end);
        assert.fail(`${testId} still says “${text}”`);
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
