// What deserves an operator's attention: what is the case, what it means, what can be done.

export type Severity = 'critical' | 'warning' | 'notice';

export interface Alert {
    readonly id: string;
    readonly severity: Severity;
    readonly title: string;
    readonly detail: string;
}

export function worstFirst(alerts: readonly Alert[]): Alert[] {
    const rank: Record<Severity, number> = { critical: 0, warning: 1, notice: 2 };
    return alerts.toSorted((left, right) => rank[left.severity] - rank[right.severity]);
}
