// What the server does for itself: cleanup, the transparency log, and what writers did since the start.
import { useNow } from '../../console/clock.ts';
import { ago, day, formatCount, formatDuration, hour, plural } from '../../ui/format.ts';
import { Fact, Facts, Panel, Section } from '../../ui/panel.tsx';
import type { ObserverState } from './api.ts';
import { type Model, serverTime } from './model.ts';

export function UpkeepSection({ model }: { model: Model }) {
    const now = serverTime(model, useNow());
    const { state } = model;
    return (
        <Section id="upkeep" title="Upkeep">
            <Panel title="Cleanup and transparency">
                <Facts>
                    <CleanupFacts state={state} now={now} />
                    <TransparencyFacts state={state} now={now} />
                </Facts>
            </Panel>
            <Panel
                title="Writes since the start"
                explanation="Signed requests of clients that were accepted since the server started."
            >
                <Facts>
                    <Fact
                        label="Registrations and updates"
                        value={formatCount(state.counters.registered)}
                    />
                    <Fact label="Replenishments" value={formatCount(state.counters.replenished)} />
                    <Fact
                        label="Signed prekeys rotated"
                        value={formatCount(state.counters.rotated)}
                    />
                    <Fact label="Identities deleted" value={formatCount(state.counters.deleted)} />
                    <Fact
                        label="Consoles watching"
                        value={formatCount(state.observerClients)}
                        explanation="Open event streams of this observer, this page included."
                    />
                </Facts>
            </Panel>
        </Section>
    );
}

function CleanupFacts({ state, now }: { state: ObserverState; now: number }) {
    const { cleanup, counters } = state;
    if (cleanup.staleDays === 0) {
        return (
            <Fact
                label="Cleanup"
                value="off"
                detail="SHADE_STALE_DAYS is 0: identities stay until deleted"
            />
        );
    }
    const next =
        cleanup.lastRunAt === null ? null : cleanup.lastRunAt + cleanup.intervalHours * hour - now;
    return (
        <>
            <Fact
                label="Last cleanup"
                value={ago(cleanup.lastRunAt, now)}
                detail={
                    (next === null || next < 0
                        ? 'next one due'
                        : `next in ${formatDuration(next)}`) +
                    (cleanup.dryRun ? '; dry run, nothing is removed' : '')
                }
                explanation={`Identities without activity for ${plural(cleanup.staleDays, 'day', 'days')} are removed, and their address is kept for the same key for a year.`}
                testId="cleanup"
            />
            <Fact
                label="Purged"
                value={formatCount(counters.purged)}
                detail={`${formatCount(cleanup.lastPurged)} in the last run`}
                explanation="Stale identities removed since the server started."
                testId="purged"
            />
        </>
    );
}

function TransparencyFacts({ state, now }: { state: ObserverState; now: number }) {
    const transparency = state.keyTransparency;
    const explanation =
        'A public, append-only log of every identity event. Clients check bundles against its signed checkpoint, so a server that swaps a key is found out.';
    if (transparency === null) {
        return (
            <Fact
                label="Key transparency"
                value="off"
                detail="no log key is configured"
                explanation={explanation}
            />
        );
    }
    const age = transparency.checkpointAt === null ? null : now - transparency.checkpointAt;
    return (
        <>
            <Fact
                label="Transparency tree"
                value={formatCount(transparency.treeSize)}
                detail={transparency.treeSize === 1 ? 'leaf' : 'leaves'}
                explanation={explanation}
                testId="kt-size"
            />
            <Fact
                label="Last checkpoint"
                value={ago(transparency.checkpointAt, now)}
                {...(transparency.trouble !== null
                    ? { detail: 'nothing is signed' }
                    : age !== null && age > day
                      ? { detail: 'signed anew when the tree grows' }
                      : {})}
                explanation="When the head of the tree was last signed."
                testId="kt-age"
            />
        </>
    );
}
