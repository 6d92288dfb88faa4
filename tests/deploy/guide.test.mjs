// docs/admin-guide.md, followed word for word: every block fenced as `sh SCENARIO` is run, in the
// order of the page, and must print what the `text SCENARIO` block behind it shows.
//
//   build      in this checkout; NAVE_BIN is the binary that would be compiled
//   machine    as root on a Debian 12 with systemd, booted by nspawn, a network of its own (loopback
//              only) and nothing of Nave. The Debian packages that the guide asks for are there
//              already, since the machine reaches no archive
//   user       as the user whom the guide makes on that machine, afterwards
//
// Nothing is substituted: domain, ports and paths are those of the page.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootMachine, whyNoMachine } from '../support/machine.mjs';
import { scriptOf, shellBlocks } from '../support/printed_shell.mjs';
import { binary, cleanEnvironment } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kPackages = [
    ...['ca-certificates', 'openssl', 'iproute2', 'postgresql'],
    ...['prometheus', 'prometheus-node-exporter', 'caddy'],
];
const kScenarios = ['build', 'machine', 'user'];
const kElsewhere = ['image', 'container']; // guide_container.test.mjs
const kDeadlineMs = 600_000;

const guide = fs.readFileSync(path.join(kRoot, 'docs/admin-guide.md'), 'utf8');
const blocks = shellBlocks(guide);
const blocksOf = (name) => blocks.filter(({ scenario }) => scenario === name);

test('every block of commands belongs to a scenario that is run', () => {
    assert.ok(blocks.length > 30, `${blocks.length} blocks`);
    const known = [...kScenarios, ...kElsewhere];
    const others = blocks.filter(({ scenario }) => !known.includes(scenario));
    assert.deepEqual(
        others.map(({ line, scenario }) => `line ${line}: "${scenario}"`),
        [],
    );
    // Commands must not hide in fences of another name.
    const fences = [...guide.matchAll(/^```(\w*)/gm)].map(([, language]) => language);
    assert.deepEqual(
        [...new Set(fences)].filter((language) => !['', 'sh', 'text'].includes(language)),
        [],
    );
});

let builtPackage; // path below the checkout

test('the package is built', async () => {
    const script = scriptOf(blocksOf('build'));
    const env = cleanEnvironment({ NAVE_BIN: binary() });
    const result = await new Promise((resolve) => {
        const options = { cwd: kRoot, env, timeout: kDeadlineMs, maxBuffer: 64 << 20 };
        const shell = execFile('bash', ['-euo', 'pipefail'], options, (error, stdout, stderr) =>
            resolve({ code: error ? (error.code ?? -1) : 0, stdout, stderr }),
        );
        shell.stdin.end(script.text);
    });
    script.check(result);
    [builtPackage] = /^build\/packages\/nave_\S+\.deb$/m.exec(result.stdout);
});

describe('a machine', { skip: whyNoMachine() }, () => {
    let machine;
    before(async () => {
        machine = await bootMachine({
            packages: kPackages,
            prepare(root) {
                const checkout = path.join(root, 'root/nave');
                for (const name of ['deploy', builtPackage]) {
                    fs.cpSync(path.join(kRoot, name), path.join(checkout, name), {
                        recursive: true,
                    });
                }
                fs.mkdirSync(path.join(checkout, 'build/release/src/app'), { recursive: true });
                fs.copyFileSync(binary(), path.join(checkout, 'build/release/src/app/nave'));
            },
        });
        // nspawn binds a file there that units with ProtectKernelLogs= cannot hide.
        await machine.succeed('umount /proc/kmsg');
    });
    after(() => machine?.stop());

    async function follow(scenario, { checkout, user }) {
        const script = scriptOf(blocksOf(scenario));
        fs.writeFileSync(path.join(machine.root, `srv/${scenario}.sh`), script.text);
        const { status, stdout } = await machine.run(
            `cd ${checkout} && bash -euo pipefail /srv/${scenario}.sh 2>&1`,
            { deadlineMs: kDeadlineMs, user },
        );
        if (process.env.NAVE_ARTIFACTS) {
            const log = path.join(process.env.NAVE_ARTIFACTS, `guide-${scenario}.log`);
            fs.writeFileSync(log, stdout);
        }
        script.check({ code: status, stdout });
    }

    test('gets a server from nothing to monitored, restored and hardened', () =>
        follow('machine', { checkout: '/root/nave' }));

    test('and beside it one of a user without root', async () => {
        await machine.succeed('cp -r /root/nave /home/op/checkout && chown -R op: /home/op/checkout');
        await follow('user', { checkout: '~/checkout', user: 'op' });
    });
});
