// deploy/monitoring against what it is for: the files by promtool, then a real Prometheus that
// scrapes a real server with a token, evaluates the rules and answers every query of the dashboard.
// Grafana itself is in no Debian archive: of its file only form and queries are checked.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parse, stringify } from 'yaml';
import { BrokerAdmin, Peer } from '../support/broker_peer.mjs';
import { Api, Device } from '../support/client.mjs';
import { expectOutcome } from '../support/expect.mjs';
import {
    kMonitoring,
    Prometheus,
    promtool,
    selectorsOf,
    startNodeExporter,
} from '../support/prometheus.mjs';
import { Server, temporaryDirectory, until } from '../support/server.mjs';
import { kBrokerAdminToken } from '../support/stores.mjs';

const kToken = 'token-of-the-tests-prometheus';
// Made by a failing backend only; a healthy server has no such series.
const kOfFailures = /^shade_store_errors_total$|^shade_requests_total\{status=~"5\.\."\}$/;

const file = (name) => path.join(kMonitoring, name);
const read = (name) => fs.readFileSync(file(name), 'utf8');
const rulesOf = (name) => parse(read(`rules/${name}.yml`)).groups.flatMap(({ rules }) => rules);
const rules = [...rulesOf('nave'), ...rulesOf('host')];
const unitTests = parse(read('rules/nave_test.yml'));
const dashboard = JSON.parse(read('grafana/nave.json'));
const panels = dashboard.panels.filter(({ type }) => type !== 'row');

function skipReason() {
    const lacking = ['promtool', 'prometheus', 'prometheus-node-exporter'].filter(
        (program) => !process.env.PATH.split(':').some((d) => fs.existsSync(`${d}/${program}`)),
    );
    if (lacking.length === 0) {
        return false;
    }
    const reason = `not installed: ${lacking.join(', ')} (scripts/setup --deploy)`;
    if (process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(reason);
    }
    console.error(`*** SKIPPED: ${reason}`);
    return reason;
}

// A copy of the folder as an operator has it in /etc/prometheus.
function installed() {
    const directory = temporaryDirectory('nave-monitoring');
    fs.cpSync(kMonitoring, directory, { recursive: true });
    fs.writeFileSync(path.join(directory, 'nave-metrics-token'), `${kToken}\n`, { mode: 0o600 });
    return directory;
}

describe('the files', { skip: skipReason() }, () => {
    const directory = installed();
    after(() => fs.rmSync(directory, { recursive: true }));

    test('promtool finds no fault in configuration and rules', async () => {
        const { code, output } = await promtool('check', 'config', `${directory}/prometheus.yml`);
        assert.equal(code, 0, output);
        assert.match(output, new RegExp(`${rulesOf('nave').length} rules found`));
        assert.ok(!/FAILED|duplicate/i.test(output), output);
    });

    test('every alert has its unit tests, and they pass', async () => {
        assert.deepEqual(
            unitTests.tests.map(({ name }) => name),
            rules.map(({ alert }) => alert),
        );
        for (const { name, alert_rule_test: cases } of unitTests.tests) {
            const expected = cases.at(-1).exp_alerts.map(({ exp_labels }) => exp_labels.instance);
            assert.deepEqual(expected, ['bad'], `${name} fires for the bad instance only`);
        }
        const { code, output } = await promtool('test', 'rules', `${directory}/rules/nave_test.yml`);
        assert.equal(code, 0, output);
    });

    // Numbers behind a comparison, and the time an alert waits.
    function mutationsOf(rule) {
        const found = [];
        for (const match of rule.expr.matchAll(/(==|<|>)( on \([^)]*\))? (-?[\d.]+)/g)) {
            const [whole, operator, matching = '', number] = match;
            const isWhole = Number.isInteger(Number(number));
            const nearby = isWhole
                ? [Math.floor(number * 0.8), Math.ceil(number * 1.2)]
                : [number * 0.8, number * 1.2];
            const others = operator === '==' ? [2] : number === '0' ? [operator === '<' ? -1e9 : -1, 1e9] : nearby;
            for (const other of others) {
                const changed = `${operator}${matching} ${other}`;
                const expr =
                    rule.expr.slice(0, match.index) +
                    changed +
                    rule.expr.slice(match.index + whole.length);
                found.push({ rule: { ...rule, expr }, what: `${whole} -> ${changed}` });
            }
        }
        if (rule.for) {
            const [, number, unit] = /^(\d+)([mh])$/.exec(rule.for);
            const longer = `${2 * number}${unit}`;
            found.push({ rule: { ...rule, for: longer }, what: `for ${longer}` });
            found.push({ rule: { ...rule, for: '0m' }, what: 'for 0m' });
        }
        return found;
    }

    test('a changed threshold or duration fails the unit test of its alert', async () => {
        let mutants = 0;
        for (const rule of rules) {
            const own = unitTests.tests.filter(({ name }) => name === rule.alert);
            const outcome = async (mutated) => {
                const scratch = fs.mkdtempSync(path.join(directory, 'mutant-'));
                fs.writeFileSync(
                    path.join(scratch, 'rules.yml'),
                    stringify({ groups: [{ name: 'one', rules: [mutated] }] }),
                );
                fs.writeFileSync(
                    path.join(scratch, 'test.yml'),
                    stringify({ ...unitTests, rule_files: ['rules.yml'], tests: own }),
                );
                return promtool('test', 'rules', path.join(scratch, 'test.yml'));
            };
            assert.equal((await outcome(rule)).code, 0, `${rule.alert} alone passes`);
            const survivors = [];
            for (const { rule: mutated, what } of mutationsOf(rule)) {
                mutants += 1;
                if ((await outcome(mutated)).code === 0) {
                    survivors.push(what);
                }
            }
            assert.deepEqual(survivors, [], `${rule.alert} passes its test all the same`);
        }
        assert.ok(mutants > 60, `${mutants} mutants`);
    });

    test('the thresholds of the original', () => {
        const byName = new Map(rules.map((rule) => [rule.alert, rule]));
        assert.equal(byName.get('BrokerDown').expr, 'broker_db_healthy == 0');
        assert.equal(byName.get('BrokerDown').for, '1m');
        assert.equal(byName.get('BrokerDown').labels.severity, 'page');
        assert.equal(byName.get('BrokerQueue').expr, 'broker_queue_depth > 10000');
        assert.match(
            byName.get('BrokerFull').expr,
            /^increase\(broker_connections_rejected_total\{reason="capacity"\}/,
        );
    });

    test('every alert says how bad it is and what the guide advises', () => {
        const guide = fs.readFileSync(path.join(kMonitoring, '../../docs/admin-guide.md'), 'utf8');
        for (const { alert, labels, annotations } of rules) {
            assert.match(labels.severity, /^(page|ticket)$/, alert);
            assert.ok(annotations.summary.length > 10, alert);
            assert.ok(guide.includes(`\`${alert}\``), `the guide says nothing about ${alert}`);
        }
    });

    test('the dashboard is well formed', () => {
        const ids = dashboard.panels.map(({ id }) => id);
        assert.equal(new Set(ids).size, ids.length, 'ids are used once');
        const taken = new Set();
        for (const { title, gridPos } of dashboard.panels) {
            assert.ok(gridPos.x + gridPos.w <= 24, `${title} is too wide`);
            for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
                for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
                    assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another panel`);
                    taken.add(`${x} ${y}`);
                }
            }
        }
        for (const { title, datasource, targets } of panels) {
            assert.equal(datasource.uid, '${datasource}', title);
            assert.ok(targets.length > 0, title);
        }
        const source = parse(read('grafana/provisioning/datasources/nave.yml'));
        assert.equal(source.datasources[0].type, 'prometheus');
        const { providers } = parse(read('grafana/provisioning/dashboards/nave.yml'));
        assert.equal(providers[0].type, 'file');
    });
});

describe('a real Prometheus', { skip: skipReason() }, () => {
    const directory = installed();
    let server;
    let exporter;
    let prometheus;

    before(async () => {
        exporter = await startNodeExporter();
        server = await Server.start({
            services: [],
            env: {
                SHADE_METRICS_TOKEN: kToken,
                BROKER_METRICS_TOKEN: kToken,
                BROKER_ADMIN_TOKEN: kBrokerAdminToken,
                SHADE_DISABLE_RATE_LIMIT: '1',
            },
        });
        // The shipped file; only addresses and intervals are others. The interval of scrapes is their
        // deadline too.
        const name = path.join(directory, 'prometheus.yml');
        const config = read('prometheus.yml')
            .replace('"127.0.0.1:8080"', `"127.0.0.1:${server.port}"`)
            .replace('"127.0.0.1:9100"', `"${exporter.address}"`)
            .replace('scrape_interval: 15s', 'scrape_interval: 3s')
            .replace('evaluation_interval: 15s', 'evaluation_interval: 1s');
        assert.equal(config.match(/127\.0\.0\.1:(8080|9100)"|15s/g), null);
        fs.writeFileSync(name, config);
        prometheus = await Prometheus.start(name);
        await traffic();
        await scraped();
    });
    after(async () => {
        await prometheus?.finish();
        await server?.finish();
        await exporter?.stop();
        fs.rmSync(directory, { recursive: true, force: true });
    });

    async function traffic() {
        const api = new Api(server.url, { prefix: '/prekeys' });
        for (let i = 0; i < 5; i += 1) {
            const device = new Device({ suite: 'pqxdh-ed25519' });
            expectOutcome(await api.register(device, { oneTime: 5, kemOneTime: 5 }), 201);
            expectOutcome(await api.bundle(device.address), 200);
        }
        const url = `${server.url}/broker`;
        const admin = new BrokerAdmin(url, kBrokerAdminToken);
        const mesh = await admin.createMesh();
        const [ada, bob] = [await admin.member(mesh, 'ada'), await admin.member(mesh, 'bob')];
        const [sender, receiver] = [await Peer.connect(url, ada), await Peer.connect(url, bob)];
        const stranger = new Peer(url, ada);
        await stranger.opened;
        stranger.send(stranger.helloMessage({ signature: '0'.repeat(128) }));
        await stranger.closed;
        for (let i = 0; i < 5; i += 1) {
            assert.equal((await sender.envelope(bob.keys.hex, `text ${i}`)).type, 'ack');
            await receiver.push(`text ${i}`);
        }
        await sender.close();
        await receiver.close();
    }

    // Two scrapes lie behind all traffic, so that rates have what they need.
    async function scraped() {
        const count = async () =>
            (await prometheus.query('count_over_time(up{job="nave"}[1h])'))[0]?.value ?? 0;
        const begun = await until(count, { deadlineMs: 60_000, everyMs: 200, what: 'a scrape' });
        await until(async () => (await count()) >= begun + 2, { deadlineMs: 60_000, everyMs: 200 });
    }

    const targetUp = async () => (await prometheus.query('up{job="nave"}'))[0]?.value;
    const alerts = async () => (await prometheus.get('alerts')).alerts;
    // As Grafana fills its variables in.
    const filledIn = (expression) =>
        expression
            .replaceAll('$job', 'nave')
            .replaceAll('$instance', '.*')
            .replaceAll('$__rate_interval', '1m');
    const queries = panels.flatMap(({ title, targets }) =>
        targets.map(({ expr }) => ({ title, expr: filledIn(expr) })),
    );

    test('the target is up, by its token', async () => {
        assert.equal(await targetUp(), 1);
        assert.equal((await fetch(`${server.url}/metrics`)).status, 401, 'not without it');
        const tokenFile = path.join(directory, 'nave-metrics-token');
        fs.writeFileSync(tokenFile, 'another-token-altogether');
        await until(async () => (await targetUp()) === 0, { deadlineMs: 60_000, everyMs: 200 });
        fs.writeFileSync(tokenFile, kToken);
        await until(async () => (await targetUp()) === 1, { deadlineMs: 60_000, everyMs: 200 });
    });

    test('the metrics of the process show what a service counts on demand', async () => {
        await until(
            async () => (await prometheus.query('shade_kt_tree_size{job="nave"}'))[0]?.value === 5,
            { deadlineMs: 60_000, everyMs: 200, what: 'the signed tree has five entries' },
        );
        const [cleanup] = await prometheus.query('shade_cleanup_last_run_timestamp_seconds');
        assert.ok(cleanup.value > 1e9, 'cleanup ran at the start');
    });

    test('Prometheus loaded every rule, none fails, and a healthy server raises none', async () => {
        await until(
            async () => {
                const { groups } = await prometheus.get('rules');
                const all = groups.flatMap((group) => group.rules);
                assert.deepEqual(
                    all.map(({ name }) => name).sort(),
                    rules.map(({ alert }) => alert).sort(),
                );
                return all.every(({ health }) => health === 'ok');
            },
            { deadlineMs: 60_000, everyMs: 200, what: 'all rules were evaluated without error' },
        );
        const { groups } = await prometheus.get('rules');
        const bad = groups
            .flatMap((group) => group.rules)
            .filter(({ name, state }) => !name.startsWith('Host') && state !== 'inactive');
        // The token test made the target go away for a moment; nothing else may be wrong.
        assert.deepEqual(
            bad.map(({ name, state }) => `${name} ${state}`).filter((text) => text !== 'NaveDown pending'),
            [],
        );
    });

    test('every series that rules and dashboard name is there', async () => {
        const expressions = [...rules.map(({ expr }) => expr), ...queries.map(({ expr }) => expr)];
        const selectors = new Map(
            expressions.flatMap(selectorsOf).map((selector) => [selector.text, selector]),
        );
        assert.ok(selectors.size > 80, `${selectors.size} selectors were found`);
        const known = new Set(await prometheus.get('label/__name__/values'));
        const missing = [];
        for (const { name, text } of selectors.values()) {
            if (name === 'ALERTS' || kOfFailures.test(name) || kOfFailures.test(text)) {
                continue;
            }
            if (!known.has(name) || (await prometheus.query(`count(${text})`)).length === 0) {
                missing.push(text);
            }
        }
        assert.deepEqual(missing, []);
    });

    test('every query of the dashboard has an answer', async () => {
        assert.ok(queries.length > 60, `${queries.length} queries`);
        const empty = [];
        for (const { title, expr } of queries) {
            if ((await prometheus.query(expr)).length === 0) {
                empty.push(`${title}: ${expr}`);
            }
        }
        assert.deepEqual(
            empty.filter((text) => !text.includes('shade_store_errors_total')),
            [],
        );
        for (const variable of dashboard.templating.list.filter(({ type }) => type === 'query')) {
            const [, name, label] = /^label_values\(([a-z_]+)(?:\{.*\})?, (\w+)\)$/.exec(
                variable.definition,
            );
            const [found] = await prometheus.query(`count by (${label}) (${name})`);
            assert.ok(found?.metric[label], variable.definition);
        }
        for (const { expr } of dashboard.annotations.list) {
            await prometheus.query(filledIn(expr));
        }
        await assert.rejects(prometheus.query('sum by ('), 'a broken query is told');
    });

    test('a server that stops raises NaveDown', async () => {
        // The token's test made the alert pending for a moment; that has to be over.
        const isDown = async () =>
            (await alerts()).some(
                ({ labels, state }) =>
                    labels.alertname === 'NaveDown' && /pending|firing/.test(state),
            );
        await until(async () => !(await isDown()), { deadlineMs: 60_000, everyMs: 200 });
        await server.stop();
        await until(async () => (await targetUp()) === 0, { deadlineMs: 60_000, everyMs: 200 });
        await until(isDown, { deadlineMs: 60_000, everyMs: 200, what: 'NaveDown is pending' });
    });
});
