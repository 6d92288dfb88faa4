// Goals, printed as soon as they are measured.
import { printTable } from '../lib/table.mjs';

export function printGoals(rows) {
    printTable(
        'Goals',
        ['goal', 'measured', ''],
        rows.map(([goal, measured, met]) => [goal, measured, met ? 'met' : 'missed']),
    );
}
