// The tours of README.md, run as they are printed: every block marked `sh tour` goes to one shell, in
// order, and what a block prints must match the `text tour` block behind it ("…" stands for
// anything). A block that sets data directory and port begins a tour of its own; only these two are
// replaced.
//
// The shell runs in a scratch directory that holds links to what the tour names of the repository.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/ports.mjs';
import { scriptOf, shellBlocks } from '../support/printed_shell.mjs';
import { binary, cleanEnvironment, temporaryDirectory } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kDeadlineMs = 300_000;
const kSettings = /^export NAVE_DATA_DIR=data\/tour (PORT=3900|BROKER_PORT=7900)$/m;
const kTours = ['prekeys', 'broker'];

const needsBinary = fs.existsSync(binary()) ? {} : { skip: `NOT RUN: no binary at ${binary()}` };
if (needsBinary.skip && process.env.NAVE_REQUIRE_SERVICES) {
    throw new Error(needsBinary.skip);
}

function toursOf(markdown) {
    const tours = [];
    const blocks = shellBlocks(markdown).filter(({ scenario }) => scenario === 'tour');
    for (const block of blocks) {
        if (kSettings.test(block.script)) {
            tours.push([]);
        }
        assert.ok(tours.length > 0, `the first block of a tour sets ${kSettings}`);
        tours.at(-1).push(block);
    }
    return tours;
}

// Runs the text in bash; kills the shell and all it started at the deadline.
function runShell(text, { cwd, env }) {
    return new Promise((resolve) => {
        const shell = spawn('bash', ['-euo', 'pipefail'], {
            cwd,
            env,
            detached: true,
            stdio: ['pipe', 'pipe', 'pipe'],
        });
        const out = { stdout: '', stderr: '' };
        for (const name of ['stdout', 'stderr']) {
            shell[name].setEncoding('utf8').on('data', (chunk) => {
                out[name] += chunk;
            });
        }
        const end = () => {
            try {
                process.kill(-shell.pid, 'SIGKILL');
            } catch {
                // Everything has ended already.
            }
        };
        const timer = setTimeout(end, kDeadlineMs);
        shell.on('exit', () => {
            clearTimeout(timer);
            end();
        });
        shell.on('close', (code, signal) => resolve({ code, signal, ...out }));
        shell.stdin.end(text);
    });
}

function scratchRepository() {
    const directory = temporaryDirectory('nave-tour');
    fs.mkdirSync(path.join(directory, 'build/release/src/app'), { recursive: true });
    fs.symlinkSync(binary(), path.join(directory, 'build/release/src/app/nave'));
    fs.symlinkSync(path.join(kRoot, 'examples'), path.join(directory, 'examples'));
    return directory;
}

test('the README has a tour of each service', () => {
    const tours = toursOf(fs.readFileSync(path.join(kRoot, 'README.md'), 'utf8'));
    assert.equal(tours.length, kTours.length);
    for (const blocks of tours) {
        assert.ok(blocks.length >= 8, `only ${blocks.length} blocks are marked as part of a tour`);
    }
});

async function runTour(at) {
    const blocks = toursOf(fs.readFileSync(path.join(kRoot, 'README.md'), 'utf8'))[at];
    const cwd = scratchRepository();
    try {
        const env = cleanEnvironment({ TOUR_PORT: String(await freePort()) });
        blocks[0].script = blocks[0].script.replace(
            kSettings,
            (_, port) => `export NAVE_DATA_DIR="$PWD/data" ${port.split('=')[0]}="$TOUR_PORT"`,
        );
        const script = scriptOf(blocks);
        const result = await runShell(script.text, { cwd, env });
        const log = path.join(cwd, 'tour.log');
        script.check({ ...result, more: fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '' });
        const left = fs.readdirSync(cwd).sort();
        assert.deepEqual(left, ['build', 'examples'], 'the tour leaves nothing behind');
    } finally {
        fs.rmSync(cwd, { recursive: true, force: true });
    }
}

kTours.forEach((name, at) => {
    test(`the tour of ${name} works as printed`, needsBinary, () => runTour(at));
});

test('the example of prekeys gives advice instead of a stack when nobody answers', async () => {
    const port = await freePort();
    const example = path.join(kRoot, 'examples/register-and-fetch.mjs');
    const { code, stderr } = await runShell(
        `"${process.execPath}" "${example}" http://127.0.0.1:${port}\n`,
        { cwd: kRoot, env: cleanEnvironment() },
    );
    assert.equal(code, 1);
    assert.match(stderr, /no answer from http:\/\/127\.0\.0\.1:/);
});
