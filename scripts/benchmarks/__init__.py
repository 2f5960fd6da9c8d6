"""Measurements of Sluice, of a bare redis-py loop (the floor) and of peers, all by the same method.

Each contender is a set of small programs (fill, worker, publish, send); the scenarios start them as processes beside a
server of their own and look from outside: at the records that handlers write, at CPU clocks, at INFO.
"""
