"""The statistics of NN intervals by NeuroKit2, and of nights by pandas: series on standard input, values on standard output."""

import json
import sys
import warnings

import neurokit2
import numpy
import pandas

warnings.simplefilter("ignore")
BASELINE, WEEK = pandas.Timedelta(days=42), pandas.Timedelta(days=6.5)


def of_intervals(nn):
    times = numpy.cumsum(nn) / 1000
    found = neurokit2.hrv_time({"RRI": numpy.array(nn), "RRI_Time": times}, sampling_rate=1000)
    return {"rmssd": float(found["HRV_RMSSD"].iloc[0]), "sdnn": float(found["HRV_SDNN"].iloc[0])}


def of_nights(nights):
    """The newest night beside the six weeks before it, and the mean of its week beside what came before that."""
    series = pandas.Series([value for _, value in nights], index=pandas.to_datetime([at for at, _ in nights], unit="s"))
    newest = series.index[-1]
    known = series[series.index >= newest - BASELINE]
    logs = numpy.log(known)
    before, within = logs[logs.index < newest - WEEK], logs[logs.index >= newest - WEEK]
    return {
        "mean": float(known.iloc[:-1].mean()),
        "sd": float(known.iloc[:-1].std()),
        "week": float((before.mean() - within.mean()) / before.std()),
    }


asked = json.load(sys.stdin)
print(json.dumps({
    "neurokit2": neurokit2.__version__,
    "pandas": pandas.__version__,
    "intervals": [of_intervals(nn) for nn in asked["intervals"]],
    "nights": [of_nights(nights) for nights in asked["nights"]],
}))
