// Shell commands printed in a page, as tests run them: a block fenced as `sh NAME` belongs to the
// scenario NAME, and what it prints must match the `text NAME` block behind it, where "…" stands for
// anything.
import assert from 'node:assert/strict';

// [{ scenario, script, expected, line }] in the order of the page; scenario is "" for a block that
// names none, which nothing runs.
export function shellBlocks(markdown) {
    const blocks = [];
    for (const match of markdown.matchAll(/^```(sh|text)\b *(.*)\n([^]*?)^```$/gm)) {
        const [, language, scenario, body] = match;
        const line = markdown.slice(0, match.index).split('\n').length;
        if (language === 'sh') {
            blocks.push({ scenario, script: body, expected: [], line });
        } else if (scenario) {
            assert.equal(scenario, blocks.at(-1)?.scenario, `line ${line}: output of what?`);
            assert.deepEqual(blocks.at(-1).expected, [], 'a block has one expected output');
            blocks.at(-1).expected = body.trimEnd().split('\n');
        }
    }
    return blocks;
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

// Each expected line must be found in the output, after the one before it.
export function assertPrints(output, expected, script) {
    let rest = output;
    for (const line of expected.filter((text) => text !== '…')) {
        const pattern = new RegExp(line.split('…').map(escaped).join('.*'));
        const at = pattern.exec(rest);
        assert.ok(at, `"${line}" is not printed by\n${script}\nwhich printed\n${output}`);
        rest = rest.slice(at.index + at[0].length);
    }
}

const kEndOfBlock = '--- end of block ---';

// One bash script of all blocks, and what its output says of each of them.
export function scriptOf(blocks) {
    // /dev/null: nothing may read the script that the shell reads.
    const text = blocks
        .map(({ script }) => `{\n${script}} </dev/null\necho "${kEndOfBlock}"\n`)
        .join('');
    return {
        text,
        check({ code, stdout, stderr = '', more = '' }) {
            const outputs = stdout.split(`${kEndOfBlock}\n`);
            const last = blocks[outputs.length - 1];
            assert.equal(
                code,
                0,
                `block ${outputs.length} of ${blocks.length} failed (line ${last?.line}):\n` +
                    `${last?.script}\n${stderr}\n${outputs.at(-1)}\n${more}`,
            );
            blocks.forEach(({ script, expected }, i) => assertPrints(outputs[i], expected, script));
        },
    };
}
