"""In which order the gallery shows its examples: first steps, fields, and then what is special."""

ORDER = (
    "plot_quickstart.py",
    "plot_from_parafac.py",
    "plot_component_count.py",
    "plot_figures.py",
    "plot_faces.py",
    "plot_connectivity.py",
    "plot_galaxies.py",
    "plot_crystals.py",
    "plot_serology.py",
    "plot_field_map.py",
    "plot_simulated_data.py",
    "plot_few_labels.py",
    "plot_unequal_classes.py",
    "plot_no_labels.py",
    "plot_comparisons.py",
    "plot_compare.py",
    "plot_misleading_figures.py",
    "plot_choosing.py",
    "plot_pipeline.py",
    "plot_another_loss.py",
    "plot_custom_encoder.py",
    "plot_save_and_reload.py",
)


class ByPlace:
    """Sorts the files of a folder; one that the list above lacks is an error."""

    def __init__(self, src_dir):
        self.src_dir = src_dir

    def __call__(self, filename):
        return ORDER.index(filename)

    def __repr__(self):
        return "the order of gallery_order.py"
