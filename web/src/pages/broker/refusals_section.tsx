// What the broker turned away, and why.
import { Fact, Facts, Panel, Section } from '../../ui/panel.tsx';
import { formatBytes, formatCount } from '../../ui/format.ts';
import { Ranking } from '../../ui/meter.tsx';
import { refusalName, rejectionName } from './events.ts';
import type { Model } from './model.ts';

export function RefusalsSection({ model }: { model: Model }) {
    const { figures, limits } = model.state;
    const refused = Object.entries(figures.refused).filter(([, value]) => value > 0);
    return (
        <Section id="refusals" title="Refusals" lead="Since the server started.">
            <Panel
                title="Messages rejected"
                explanation="Messages of connected peers that were answered with an error. The sender knows and may try again."
            >
                <Ranking
                    rows={Object.entries(figures.rejected).map(([reason, value]) => ({
                        key: reason,
                        label: capitalised(rejectionName(reason)),
                        hint: reason,
                        value,
                    }))}
                />
            </Panel>
            <Panel
                title="Hellos refused"
                explanation="Connections that were closed because their hello did not hold: whoever it was is not in the mesh, or its clock or its keys are wrong."
            >
                {refused.length === 0 ? (
                    <p class="empty" data-testid="no-refusals">
                        None.
                    </p>
                ) : (
                    <Ranking
                        rows={refused.map(([reason, value]) => ({
                            key: reason,
                            label: capitalised(refusalName(reason)),
                            hint: reason,
                            value,
                        }))}
                    />
                )}
                <Facts>
                    <Fact
                        label="Sends per member"
                        value={`${formatCount(limits.sendsPerSecond)} per second`}
                        detail={`in bursts of ${formatCount(limits.sendBurst)}`}
                    />
                    <Fact label="Largest message" value={formatBytes(limits.messageBytes)} />
                    <Fact
                        label="Pushed again"
                        value={formatCount(figures.redelivered)}
                        explanation="Envelopes that a peer which acknowledges did not acknowledge in time."
                        testId="redelivered"
                    />
                    <Fact
                        label="Consoles watching"
                        value={formatCount(figures.observers)}
                        explanation="Open event streams of this observer, this page included."
                    />
                </Facts>
            </Panel>
        </Section>
    );
}

function capitalised(text: string): string {
    return text.charAt(0).toUpperCase() + text.slice(1);
}
