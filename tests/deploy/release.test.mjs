// How a release is cut: scripts/version in a scratch repository, and the scripts inside the
// publishing workflows, run with what a runner would hand them.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { temporaryDirectory } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kEpoch = '1767225600'; // 2026-01-01
const kWho = {
    GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org',
    GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org',
    GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null',
};
const kChangelog = `# Changelog

Words.

## [Unreleased]

### Planned for later

- Ships.

### Added

- Boats.

### Fixed

- Leaks.

## [0.1.0] - 2025-01-01

- Rafts.
`;

const folders = [];
after(() => folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

// A repository with what scripts/version reads: its own text is the one under test.
function repository({ changelog = kChangelog } = {}) {
    const folder = temporaryDirectory('nave-release');
    folders.push(folder);
    const git = (...args) => execFileSync('git', args, {
        cwd: folder, encoding: 'utf8', env: { ...process.env, ...kWho },
    });
    fs.mkdirSync(path.join(folder, 'scripts'));
    fs.copyFileSync(path.join(kRoot, 'scripts/version'), path.join(folder, 'scripts/version'));
    fs.writeFileSync(path.join(folder, 'CMakeLists.txt'),
                     fs.readFileSync(path.join(kRoot, 'CMakeLists.txt'), 'utf8')
                         .replace(/VERSION \d+\.\d+\.\d+ /, 'VERSION 0.1.0 '));
    fs.writeFileSync(path.join(folder, 'CHANGELOG.md'), changelog);
    git('init', '--quiet', '--initial-branch=main');
    git('add', '--all');
    git('commit', '--quiet', '--message=first');
    return {
        folder,
        git,
        read: (name) => fs.readFileSync(path.join(folder, name), 'utf8'),
        version: (...args) => spawnSync(path.join(folder, 'scripts/version'), args, {
            encoding: 'utf8', env: { ...process.env, ...kWho, SOURCE_DATE_EPOCH: kEpoch },
        }),
    };
}

test('a release raises the one version and cuts the changelog', () => {
    const { version, read, git } = repository();
    const cut = version('0.2.0');
    assert.equal(cut.status, 0, cut.stderr);
    assert.match(cut.stdout, /git tag --annotate v0\.2\.0/);
    assert.match(read('CMakeLists.txt'), /^project\(nave VERSION 0\.2\.0 LANGUAGES CXX\)$/m);
    assert.equal(read('CHANGELOG.md'), kChangelog.replace(
        '### Added\n', '## [0.2.0] - 2026-01-01\n\n### Added\n'));
    assert.equal(git('tag').trim(), '');
    assert.deepEqual(git('diff', '--name-only').trim().split('\n'),
                     ['CHANGELOG.md', 'CMakeLists.txt']);
    assert.equal(version('--show').stdout, '0.2.0\n');
    assert.match(version('--notes').stdout, /- Boats\.[^]*- Leaks\.\n$/);
    assert.doesNotMatch(version('--notes').stdout, /Ships|Rafts/);
});

test('with --tag it commits and tags, and the next one goes on from there', () => {
    const { version, git, folder } = repository();
    assert.equal(version('1.0.0', '--tag').status, 0);
    assert.equal(git('status', '--porcelain'), '');
    assert.equal(git('log', '-1', '--format=%s').trim(), 'release: 1.0.0');
    assert.equal(git('cat-file', '-t', 'v1.0.0').trim(), 'tag');
    assert.equal(git('rev-parse', 'v1.0.0^{commit}'), git('rev-parse', 'HEAD'));
    assert.equal(version('--check', 'v1.0.0').status, 0);
    assert.equal(version('--check', 'v1.0.1').status, 1);

    assert.match(version('1.1.0').stderr, /nothing under \[Unreleased\]/);
    const changelog = path.join(folder, 'CHANGELOG.md');
    fs.writeFileSync(changelog, fs.readFileSync(changelog, 'utf8')
        .replace('## [1.0.0]', '### Added\n\n- Sails.\n\n## [1.0.0]'));
    git('commit', '--quiet', '--all', '--message=sails');
    assert.equal(version('1.10.0', '--tag').status, 0);
    assert.match(version('1.9.0').stderr, /below the present version 1\.10\.0/);
});

test('what is refused changes nothing', () => {
    const { version, git, folder } = repository();
    for (const [args, why] of [
        [['0.1'], /not a version/],
        [['v0.2.0'], /not a version/],
        [['0.2.0-rc1'], /not a version/],
        [['0.02.0'], /not a version/],
        [['0.2.0\n0.3.0'], /not a version/],
        [['0.1.0'], /0\.1\.0 already/],
        [['0.0.9'], /below/],
    ]) {
        const refused = version(...args);
        assert.equal(refused.status, 1, args.join(' '));
        assert.match(refused.stderr, why);
    }
    for (const args of [[], ['--nonsense'], ['0.2.0', '--force'], ['0.2.0', '--tag', 'x']]) {
        assert.equal(version(...args).status, 2, args.join(' '));
    }
    git('tag', 'v0.2.0');
    assert.match(version('0.2.0').stderr, /tag v0\.2\.0 exists/);
    assert.equal(git('status', '--porcelain'), '');
    fs.writeFileSync(path.join(folder, 'new.txt'), '');
    assert.match(version('0.3.0').stderr, /has changes/);
    assert.equal(version('--show').stdout, '0.1.0\n');
});

test('nothing but plans is nothing to release', () => {
    const { version } = repository({
        changelog: kChangelog.replace(/### Added[^]*(?=## \[0\.1\.0\])/, ''),
    });
    assert.match(version('0.2.0').stderr, /nothing under/);
});

test('the changelog of this tree can be cut', () => {
    // With a line more, as right after a release there is nothing to cut.
    const changelog = fs.readFileSync(path.join(kRoot, 'CHANGELOG.md'), 'utf8')
        .replace('## [Unreleased]\n', '## [Unreleased]\n\n### Added\n\n- One more line.\n');
    const { version, read } = repository({ changelog });
    const cut = version('999.0.0');
    assert.equal(cut.status, 0, cut.stderr);
    const lines = (text) => text.split('\n').filter((line) => line !== '').sort();
    assert.deepEqual(lines(read('CHANGELOG.md').replace('## [999.0.0] - 2026-01-01\n', '')),
                     lines(changelog));
});

const workflow = (file) => parse(fs.readFileSync(path.join(kRoot, file), 'utf8'));

// Runs the script of one step as a runner does: {status, stderr, outputs}.
function runStep(step, cwd, env) {
    const output = path.join(cwd, 'github-output');
    fs.writeFileSync(output, '');
    const done = spawnSync('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run], {
        cwd, encoding: 'utf8', env: { ...process.env, ...kWho, ...env, GITHUB_OUTPUT: output },
    });
    const outputs = Object.fromEntries(fs.readFileSync(output, 'utf8').trim().split('\n')
        .filter(Boolean).map((line) => line.split('=')));
    return { status: done.status, stderr: done.stderr, outputs };
}

test('publishing names images as the branch or the tag says', () => {
    const { folder, git } = repository();
    const names = workflow('.github/workflows/publish.yml').jobs.names.steps
        .find((step) => step.id === 'names');
    const commit = git('rev-parse', 'HEAD').trim();
    const run = (ref) => runStep(names, folder, {
        GITHUB_REF: ref, GITHUB_REF_NAME: ref.replace(/^refs\/(heads|tags)\//, ''),
        GITHUB_SHA: commit, GITHUB_REPOSITORY_OWNER: 'SomeOne',
    });
    const main = run('refs/heads/main');
    assert.equal(main.status, 0, main.stderr);
    assert.equal(main.outputs.image, 'ghcr.io/someone/nave');
    assert.equal(main.outputs.tag, `main-${commit.slice(0, 7)}`);
    assert.equal(main.outputs.version, '0.1.0');
    assert.match(main.outputs.time, /^\d+$/);
    assert.equal(run('refs/tags/v0.1.0').outputs.tag, '0.1.0');
    const wrong = run('refs/tags/v0.2.0');
    assert.notEqual(wrong.status, 0);
    assert.deepEqual(wrong.outputs, {});
});

test('nothing of a pull request is published, and every right is the job\'s own', () => {
    const publish = workflow('.github/workflows/publish.yml');
    assert.deepEqual(publish.on, { push: { branches: ['main'], tags: ['v*'] } });
    assert.deepEqual(publish.permissions, { contents: 'read' });
    assert.deepEqual(publish.jobs.image.needs, ['checks', 'names']);
    assert.equal(publish.jobs.checks.uses, './.github/workflows/ci.yml');
    assert.equal(publish.jobs.release.if, "startsWith(github.ref, 'refs/tags/v')");
    const checks = workflow('.github/workflows/ci.yml');
    assert.deepEqual(Object.keys(checks.on).sort(),
                     ['pull_request', 'workflow_call', 'workflow_dispatch']);
    for (const job of Object.values(checks.jobs)) {
        assert.equal(job.permissions, undefined);
        assert.ok(!job.steps.some((step) => /docker\//.test(step.uses ?? '')));
    }
    const [pinned] = /debian:bookworm-slim@sha256:[0-9a-f]{64}/.exec(
        fs.readFileSync(path.join(kRoot, 'deploy/Dockerfile'), 'utf8'));
    for (const { container } of Object.values(checks.jobs)) {
        assert.equal(container.image ?? container, pinned);
    }
});

test('every part of the tests runs on a pull request', () => {
    const checks = workflow('.github/workflows/ci.yml');
    const run = new Set([
        'lint', ...checks.jobs.test.strategy.matrix.parts.flatMap((parts) => parts.split(' ')),
    ]);
    const usage = spawnSync('scripts/test', ['--nonsense'], { cwd: kRoot, encoding: 'utf8' });
    const parts = /\| ([a-z0-9|]+) \.\.\.\]/.exec(usage.stderr)[1].split('|');
    assert.deepEqual([...run].sort(), parts.sort());
});

test('Dependabot waits seven days and proposes in groups', () => {
    const { updates } = workflow('.github/dependabot.yml');
    assert.deepEqual(updates.map((update) => update['package-ecosystem']).sort(),
                     ['docker', 'docker-compose', 'github-actions', 'npm']);
    for (const update of updates) {
        assert.equal(update.cooldown['default-days'], 7);
        assert.ok(Object.keys(update.groups).length > 0);
        for (const folder of update.directories ?? [update.directory]) {
            assert.ok(fs.existsSync(path.join(kRoot, folder)), folder);
        }
    }
});
