/* Periodic timers as file descriptors. */
#ifndef KVD_TIMER_H
#define KVD_TIMER_H

/* Fires every `period_ms` milliseconds, for the first time after one period. */
int timer_open(int period_ms);

/* Makes a timer that has fired unreadable again. */
void timer_read(int timer);

#endif
