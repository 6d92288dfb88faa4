// The user units and the tunnel's configuration as install.sh writes them: systemd's own verifier
// and its score of the sandbox, and what the tunnel's rules must be. cloudflared itself is not in
// Debian, so `cloudflared tunnel ingress validate` is not run here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import YAML from 'yaml';

import { OperatorHome, deployFolder } from '../support/operator_home.mjs';
import { binary } from '../support/server.mjs';

const kUuid = '6ff42ae2-765d-4adf-8112-31c55c1551ef';
// Ten times the exposure `systemd-analyze security` may find, as measured. What is left of it: the
// network, and that a file alone does not say whose manager runs it ("runs as root": 0.4).
const kExposureMax = {
    'nave-server.service': 17,
    'nave-cloudflared.service': 17,
    'nave-backend.service': 18,
    'nave-backup.service': 18,
};

function whyNot() {
    const found = spawnSync('systemd-analyze', ['--version']).status === 0;
    if (found) {
        return undefined;
    }
    const reason = 'no systemd-analyze on this machine';
    if (process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(reason);
    }
    process.stderr.write(`SKIPPED units: ${reason}\n`);
    return reason;
}

// The files of a dry run in both modes, below a home that has all programs they name.
async function writtenUnits(name) {
    const home = new OperatorHome({ name });
    await home.settings();
    fs.mkdirSync(home.at('.cloudflared'), { recursive: true });
    fs.mkdirSync(home.at('.local/bin'), { recursive: true });
    fs.mkdirSync(home.at('runtime/systemd'), { recursive: true });
    fs.writeFileSync(home.at('.cloudflared/NAVE_TUNNEL_UUID'), kUuid);
    fs.writeFileSync(home.at('.local/bin/cloudflared'), '', { mode: 0o755 });
    // Each mode takes the other's unit away, so the two write to folders of their own.
    for (const mode of ['container', 'binary']) {
        const args = ['install', '--mode', mode, '--hostname', 'nave.example.org'];
        const made = await home.run(mode === 'binary' ? [...args, '--binary', binary()] : args, {
            env: { DRY_RUN: '1', DRY_RUN_DIR: home.path(mode) },
        });
        assert.equal(made.code, 0, made.text);
        fs.cpSync(home.path(mode), home.home, { recursive: true });
    }
    const units = home.at('.config/systemd/user');
    return { home, units };
}

function verify(home, file) {
    return spawnSync(
        'systemd-analyze',
        ['--user', 'verify', '--man=no', '--recursive-errors=no', file],
        {
            encoding: 'utf8',
            env: { ...process.env, HOME: home.home, XDG_RUNTIME_DIR: home.at('runtime') },
        },
    );
}

const exposure = (file, threshold) =>
    spawnSync('systemd-analyze', ['security', '--offline=true', `--threshold=${threshold}`, '--no-pager', file], {
        encoding: 'utf8',
    });

// The file with one line more, in a folder of its own under its own name.
function mutated(home, file, change) {
    const folder = fs.mkdtempSync(home.path('mutated-'));
    const copy = path.join(folder, path.basename(file));
    fs.writeFileSync(copy, change(fs.readFileSync(file, 'utf8')));
    return copy;
}

describe('user units', { skip: whyNot() }, () => {
    let home;
    let units;
    before(async () => {
        ({ home, units } = await writtenUnits('operator'));
    });
    after(() => home?.dispose());

    test('are those that deploy/systemd has, with every placeholder filled', () => {
        assert.deepEqual(fs.readdirSync(units).sort(), fs.readdirSync(path.join(deployFolder, 'systemd')).sort());
        for (const name of fs.readdirSync(units)) {
            const text = fs.readFileSync(path.join(units, name), 'utf8').replace(/^#.*$/gm, '');
            assert.doesNotMatch(text, /<[a-z-]+>/, name);
        }
    });

    test('pass systemd-analyze verify, which fails for a wrong key, type or program', () => {
        for (const name of fs.readdirSync(units)) {
            const file = path.join(units, name);
            const checked = verify(home, file);
            assert.equal(checked.status, 0, `${name}: ${checked.stderr}`);
            assert.equal(checked.stderr.trim(), '', name);
        }
        const server = path.join(units, 'nave-server.service');
        for (const change of [
            (text) => text.replace('[Service]', '[Service]\nProtectHomes=yes'),
            (text) => text.replace('Type=simple', 'Type=simpel'),
            (text) => text.replace('/.local/bin/nave" serve', '/.local/bin/absent" serve'),
        ]) {
            const checked = verify(home, mutated(home, server, change));
            assert.notEqual(checked.status, 0, checked.stderr);
        }
    });

    for (const [name, threshold] of Object.entries(kExposureMax)) {
        test(`${name}: exposure at most ${threshold / 10}; less sandbox is noticed`, () => {
            const file = path.join(units, name);
            const scored = exposure(file, threshold);
            assert.equal(scored.status, 0, scored.stdout);
            for (const line of ['PrivateUsers=yes', 'NoNewPrivileges=yes', 'SystemCallFilter=@system-service', 'ProtectSystem=strict']) {
                const weaker = mutated(home, file, (text) => text.replace(`\n${line}\n`, '\n'));
                assert.notEqual(exposure(weaker, threshold).status, 0, `${name} without ${line}`);
            }
        });
    }

    test('verify in a home with spaces, &, | and %', async () => {
        const odd = await writtenUnits('an op & co | 100%');
        try {
            for (const name of fs.readdirSync(odd.units)) {
                const checked = verify(odd.home, path.join(odd.units, name));
                assert.equal(checked.status, 0, `${name}: ${checked.stderr}`);
                assert.equal(checked.stderr.trim(), '', name);
            }
        } finally {
            await odd.home.dispose();
        }
    });
});

describe("the tunnel's configuration", () => {
    // What `cloudflared tunnel ingress validate` asks for, and that nothing but loopback is reached.
    function problems(text) {
        const config = YAML.parse(text);
        const found = [];
        const say = (bad, what) => bad && found.push(what);
        say(/[{<][{a-z]/i.test(text.replace(/^\s*#.*$/gm, '')), 'a placeholder is left');
        say(!/^[0-9a-f-]{36}$/.test(config.tunnel), 'tunnel is not a UUID');
        say(!path.isAbsolute(config['credentials-file'] ?? ''), 'no credentials file');
        say(!config['credentials-file']?.endsWith(`nave-backend-${config.tunnel}.json`), 'credentials of another tunnel');
        const rules = config.ingress ?? [];
        const last = rules.at(-1) ?? {};
        say(last.service !== 'http_status:404' || 'hostname' in last || 'path' in last, 'the last rule is no catch-all');
        const shown = (url) =>
            rules.find((rule) => !rule.path || new RegExp(rule.path).test(url))?.service !== 'http_status:404';
        for (const url of ['/metrics', '/broker/metrics', '/broker/admin/meshes', '/prekeys/metrics']) {
            say(shown(url), `${url} is for everybody`);
        }
        for (const url of ['/ready', '/broker/ws', '/prekeys/v1/keys/bundle/admin', '/administrators']) {
            say(!shown(url), `${url} is not there`);
        }
        for (const rule of rules.slice(0, -1)) {
            say(!/^([a-z0-9-]+\.)+[a-z]+$/.test(rule.hostname ?? ''), 'a rule without a hostname');
            if (rule.service === 'http_status:404') {
                continue;
            }
            say(!/^http:\/\/127\.0\.0\.1:\d+$/.test(rule.service), 'a service beyond loopback');
            say(rule.originRequest?.noTLSVerify !== false, 'certificates are not verified');
        }
        say(rules.length < 2, 'no rule for the server');
        say(!/^127\.0\.0\.1:\d+$/.test(config.metrics), 'metrics beyond loopback');
        say(config['no-autoupdate'] !== true, 'updates itself');
        return found;
    }

    test('says what the template says, with loopback services and a catch-all at the end', async () => {
        const { home } = await writtenUnits('an op & co | 100%');
        try {
            const text = fs.readFileSync(home.at('.cloudflared/nave-config.yml'), 'utf8');
            assert.deepEqual(problems(text), []);
            const config = YAML.parse(text);
            assert.equal(config['credentials-file'], home.at(`.cloudflared/nave-backend-${kUuid}.json`));
            assert.equal(config.ingress[1].hostname, 'nave.example.org');
            assert.equal(config.ingress[1].service, home.url);
            assert.equal(config.ingress[1].originRequest.connectTimeout, '30s');
            for (const [change, what] of [
                [(t) => t.replace('  - service: http_status:404\n', ''), 'the last rule is no catch-all'],
                [(t) => t.replace(home.url, 'http://10.0.0.1:80'), 'a service beyond loopback'],
                [(t) => t.replaceAll('nave.example.org', '{{HOSTNAME}}'), 'a placeholder is left'],
                [(t) => t.replace('metrics|admin', 'metrics'), '/broker/admin/meshes is for everybody'],
                [(t) => t.replace('(/|$)', ''), '/administrators is not there'],
                [(t) => t.replace('metrics: 127.0.0.1', 'metrics: 0.0.0.0'), 'metrics beyond loopback'],
                [(t) => t.replace('no-autoupdate: true', 'no-autoupdate: false'), 'updates itself'],
                [(t) => t.replace('noTLSVerify: false', 'noTLSVerify: true'), 'certificates are not verified'],
            ]) {
                let found;
                try {
                    found = problems(change(text));
                } catch {
                    found = [what]; // it does not even parse
                }
                assert.ok(found.includes(what), `${what}: ${found}`);
            }
        } finally {
            await home.dispose();
        }
    });

    test('the template has the placeholders install.sh fills, and no other', () => {
        const template = fs.readFileSync(path.join(deployFolder, 'cloudflared-config.yml.template'), 'utf8');
        const names = new Set(template.match(/\{\{[A-Z_]+\}\}/g));
        assert.deepEqual([...names].sort(), ['{{HOSTNAME}}', '{{TUNNEL_UUID}}', '{{USER}}']);
    });
});
