// The API reference: Redoc under a strict policy, from its own server alone, below any prefix.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    ConsolePage,
    isExternal,
    kDesktop,
    kPhone,
    launchBrowser,
    startTarget,
} from './console_page.mjs';

let browser;
before(async () => {
    browser = await launchBrowser();
});
after(() => browser.close());

for (const prefix of isExternal ? ['(real)'] : ['', '/prekeys']) {
    for (const [screen, viewport] of Object.entries({ desktop: kDesktop, phone: kPhone })) {
        test(`the reference is rendered below "${prefix}", ${screen}`, async () => {
            const target = await startTarget({ prefix });
            const url = target.docsUrl;
            const console = await ConsolePage.open(browser, target, { url, viewport });
            try {
                const { page } = console;
                await page.getByRole('heading', { name: /Nave prekeys/ }).waitFor();
                await page.getByText('/v1/keys/register').first().waitFor({ state: 'attached' });
                const styled = await page.evaluate(() =>
                    [...document.styleSheets].map((sheet) => sheet.cssRules.length),
                );
                assert.ok(
                    styled.some((rules) => rules > 100),
                    'styles of the components are missing',
                );
                const left = await page.evaluate(() => document.documentElement.outerHTML);
                assert.ok(!left.includes('__CSP_NONCE__'));
                await console.screenshot(`docs-${screen}`, { fullPage: false });
                console.expectClean();
            } finally {
                await console.close();
                await target.close();
            }
        });
    }
}
