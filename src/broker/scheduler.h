// Scheduler: sends what was scheduled when its time has come. Once a second it claims what is due
// and submits it like any send, as its member, with subtype "reminder".
//
// Each firing is delivered once. Its client message id names the schedule and the time, so an
// envelope that was stored before its schedule was moved on (the process died, or an answer of the
// database was lost) is recognised when it is submitted again. Firings missed while no node ran
// come late and together as one.
#pragma once

#include "broker/broker.h"
#include "broker/schedule_store.h"
#include "runtime/loop.h"

namespace nave::broker {

class Scheduler {
  public:
    Scheduler(Loop& loop, Broker& broker) : loop_(loop), broker_(broker) {}

    // Until cancelled.
    Task<void> run();

  private:
    Task<Result<void>> fire_due();
    Task<Result<void>> fire(Scheduled scheduled);
    void advance(const Scheduled& scheduled);

    Loop& loop_;
    Broker& broker_;
};

}  // namespace nave::broker
