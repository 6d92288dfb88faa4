// What the server turned away, and why.
import { Fact, Facts, Panel, Section } from '../../ui/panel.tsx';
import { formatCount } from '../../ui/format.ts';
import { Ranking } from '../../ui/meter.tsx';
import { limitName } from './events.ts';
import type { Model } from './model.ts';

const hints: Readonly<Record<string, string>> = {
    register: 'answered 429',
    fetch: 'answered 429',
    target: 'bundle given, one-time key withheld',
    pair: 'bundle given, one-time key withheld',
    replenish: 'answered 429',
};

export function RefusalsSection({ model }: { model: Model }) {
    const { counters } = model.state;
    return (
        <Section id="refusals" title="Refusals" lead="Since the server started.">
            <Panel
                title="Rate limits"
                explanation="How often each limit was met. Limits per address count a caller's network address; the two limits on a target never refuse the bundle, they only keep the one-time key back."
            >
                <Ranking
                    rows={Object.entries(counters.rateLimited).map(([limit, value]) => ({
                        key: limit,
                        label: capitalised(limitName(limit)),
                        hint: hints[limit] ?? '',
                        value,
                    }))}
                />
            </Panel>
            <Panel title="Security">
                <Facts>
                    <Fact
                        label="Drain suspected"
                        value={formatCount(counters.depletionSuspected)}
                        tone={counters.depletionSuspected > 0 ? 'warning' : 'plain'}
                        hint="Times many fetches of one target came in a short time, as someone would do who wants its one-time keys used up."
                        testId="depletion"
                    />
                    <Fact
                        label="Identity conflicts"
                        value={formatCount(counters.identityConflicts)}
                        tone={counters.identityConflicts > 0 ? 'notice' : 'plain'}
                        hint="Registrations of an address with another identity key than its first. They are refused: the first key keeps the address."
                        testId="conflicts"
                    />
                    <Fact
                        label="Replays rejected"
                        value={formatCount(counters.replaysRejected)}
                        tone={counters.replaysRejected > 0 ? 'notice' : 'plain'}
                        hint="Signed requests that arrived a second time. A few come from clients that repeat a request after a lost answer; many mean that somebody records and resends."
                        testId="replays"
                    />
                    <Fact
                        label="Authentication failures"
                        value={formatCount(counters.authFailures)}
                        hint="Writes with a missing, wrong or outdated signature. A client whose clock is off by more than five minutes fails this way."
                        testId="auth-failures"
                    />
                </Facts>
            </Panel>
        </Section>
    );
}

function capitalised(text: string): string {
    return text.charAt(0).toUpperCase() + text.slice(1);
}
